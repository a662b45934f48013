"""Stale prepared statements: a migration changed their result, or a pooler dropped them."""

import time
from typing import NamedTuple

import psycopg
import pytest
from sqlalchemy import Connection, func, select, text

from tests.desk import Desk
from tests.limits.player import GatewayPlayer
from tests.world import World, bet, refund, result
from wallet_hooks.customers.models import Customer
from wallet_hooks.database import Fault, fault_of, open_engine, run_with_retries
from wallet_hooks.database.bulk import BulkStatement, RowSet, run

# Compatible type changes, as migrations make them, in tables that callbacks and the other APIs read.
CHANGED: dict[str, dict[str, dict[str, str]]] = {
    "wagers": {
        "wager": {"status": "text", "payout": "numeric", "rate": "text", "settlements": "numeric"},
        "ledger_account": {"balance": "numeric", "version": "numeric"},
    },
    "customers": {
        "customer": {"username": "text", "uid": "text", "currency": "text", "max_stake_per_event": "numeric"},
        "login_session": {"source": "text"},
        "api_token": {"name": "text", "role": "text"},
    },
    "brands": {
        "brand": {"currency": "text", "client": "text", "day_start": "text"},
        "provider": {"game": "text", "auth": "text"},
        "alembic_version": {"version_num": "text"},
    },
}


class Calls:
    """Calls each API once, and returns the statuses; can be repeated."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.world, self.player = desk, desk.world, GatewayPlayer(desk.world)
        self.session = {"Session": desk.token("ann")}
        self.bearer = {"Authorization": f"Bearer {desk.api_token('finance')}"}
        self.number = 0

    def __call__(self) -> list[int]:
        self.number += 2
        one, two = self.number, self.number + 1
        placed = [self.world.place(bet(one, "1.00")), self.world.place(bet(two, "1.00"))]
        ended = [self.world.settle(result(one, "1.00")), self.world.cancel(refund(two, amount="1.00"))]
        return [
            *(reply.status for reply in placed + ended),
            self.player.call("GET", "/player/limits/BRAND").status,
            *(self.world.client.get(path, headers=headers).status_code for path, headers in self.paths()),
        ]

    def paths(self) -> list[tuple[str, dict[str, str]]]:
        return [
            ("/readyz", {}),
            ("/metrics", {}),
            ("/v1/customers/", self.session),
            ("/finance/exports/trial-balance.csv", self.bearer),
        ]


def change_types(connection: Connection, tables: dict[str, dict[str, str]]) -> None:
    for table, columns in tables.items():
        changes = ", ".join(f"ALTER COLUMN {column} TYPE {kind}" for column, kind in columns.items())
        connection.execute(text(f"ALTER TABLE {table} {changes}"))


def add_columns(connection: Connection, tables: dict[str, dict[str, str]]) -> None:
    for table in tables:
        connection.execute(text(f"ALTER TABLE {table} ADD COLUMN later VARCHAR(9)"))


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGED)
def test_callers_do_not_notice_a_migration_of_a_running_service(desk: Desk, what: str) -> None:
    calls = Calls(desk)
    for _ in range(8):  # enough for the drivers to prepare their statements
        statuses = calls()
    assert set(statuses) == {200}
    time.sleep(1.1)  # the directory of brands and providers is read again after a second
    calls()
    time.sleep(1.1)
    with desk.world.engine.begin() as connection:
        change = change_types if connection.dialect.name == "postgresql" else add_columns
        change(connection, CHANGED[what])
    assert calls() == statuses
    assert calls() == statuses
    assert desk.world.differences() == []


CHANGE_A_TYPE = "DO $$ BEGIN ALTER TABLE customer ALTER COLUMN username TYPE text; END $$"
DROP_STATEMENTS = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"


class Found(NamedTuple):
    pid: int
    username: str


_named = RowSet("named", Customer.uid)
FIND = BulkStatement(
    _named,
    lambda _: select(func.pg_backend_pid().label("pid"), Customer.username).select_from(
        _named.join(Customer, _named.matches(Customer))
    ),
    row=Found,
)


@pytest.mark.parametrize(
    ("statement", "state"),
    [(CHANGE_A_TYPE, "0A000"), (DROP_STATEMENTS, "26000")],
    ids=["a changed type", "dropped statements"],
)
def test_a_retry_succeeds_on_the_same_connection(world: World, statement: str, state: str) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite prepares statements again automatically")
    engine = open_engine(world.settings, for_callbacks=True)
    faults: list[tuple[Fault, str | None]] = []

    def read() -> Found:
        try:
            with engine.begin() as connection:
                (found,) = run(connection, FIND([("7",)]))
                return found
        except psycopg.Error as error:
            faults.append((fault_of(error), error.sqlstate))
            raise

    first = read()
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
        connection.commit()
    assert run_with_retries(read) == first
    assert faults == [(Fault.STALE_PLAN, state)]
    assert [run_with_retries(read) for _ in range(3)] == [first] * 3
    engine.dispose()
