"""Callbacks and APIs look rows up by their keys; reports and pages of the console may scan tables."""

from datetime import date

import pytest
from sqlalchemy import text

from tests.finance.history import exported, rows
from tests.world import HAS_BRAND_SCHEMAS, OK, World, bet
from wallet_hooks.database import reading


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("callbacks", "off"),
        ("messages", "off"),
        ("customers", "off"),
        ("accounts", "off"),
        ("staff", "on"),
        ("reports", "on"),
    ],
)
def test_statements_of_callbacks_and_apis_are_planned_as_look_ups(empty_world: World, name: str, expected: str) -> None:
    engine = getattr(empty_world.app.extensions["wallet_hooks"], name)
    with reading(engine) as session:
        session.execute(text("SELECT 1"))
        found = {option: session.scalar(text(f"SHOW {option}")) for option in ("enable_seqscan", "enable_hashjoin")}
    assert found == {"enable_seqscan": expected, "enable_hashjoin": expected}


@pytest.mark.skipif(HAS_BRAND_SCHEMAS, reason="the driver sorts the catalog, which is large then")
@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_the_journal_is_read_in_the_order_of_its_keys(world: World) -> None:
    """A sort of a long day goes through files of the server: here it must not write any, and would rather sort."""
    for number in range(0, 1000, 100):
        assert world.place(*(bet(uid, "0.01") for uid in range(number, number + 100))) == OK
    with world.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.scalar(text("SELECT current_database()"))
        for setting in ("work_mem = '64kB'", "temp_file_limit = 0", "random_page_cost = 1000"):
            connection.execute(text(f"ALTER DATABASE {name} SET {setting}"))
        connection.execute(text("ANALYZE"))
    journal = rows(exported(world, "journal", "csv", date(2000, 1, 1), date(2100, 1, 1)))
    numbers = [(int(row["transaction"]), int(row["line"])) for row in journal]
    assert numbers == sorted(numbers)
    assert len(numbers) == world.count("ledger_entry")
