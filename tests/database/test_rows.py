"""Sets of rows reach both engines as they are, whatever is in them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.world import World
from wallet_hooks.database import RowStatement, run_together, write_at_once, writing

TEXTS = [
    "plain",
    'quo"te',
    "back\\slash",
    "{braces}",
    ",",
    "",
    "NULL",
    "null",
    "None",
    "ß🂡",
    "'",
    "%s",
    "$1",
    " ",
    "a,b",
]
ECHO = RowStatement("SELECT number, value FROM {asked} ORDER BY number", asked={"number": "bigint", "value": "text"})


@pytest.mark.parametrize("size", [1, 2, 20])
def test_texts_survive(empty_world: World, size: int) -> None:
    rows = [(number, TEXTS[number % len(TEXTS)] if number % 4 else None) for number in range(size)]
    with writing(empty_world.engine) as session:
        (found,) = run_together(session, [ECHO(rows)])
    assert [tuple(row) for row in found] == rows


@pytest.mark.parametrize("text", TEXTS)
def test_each_text_survives_alone_and_among_others(empty_world: World, text: str) -> None:
    for values in ([text], [text, text], [text, "other"], [text, None]):
        rows = list(enumerate(values))
        with writing(empty_world.engine) as session:
            (found,) = run_together(session, [ECHO(rows)])
        assert [row[1] for row in found] == values


def test_an_empty_set_is_a_set(empty_world: World) -> None:
    with writing(empty_world.engine) as session:
        assert run_together(session, [ECHO([]), ECHO([(1, "x")])]) == [[], [(1, "x")]]


def test_numbers_bytes_and_instants_survive(empty_world: World) -> None:
    insert = RowStatement(
        "INSERT INTO delivery (id, path, received_at, source, body, status, answer, duration_us)"
        " SELECT * FROM {received}",
        received={
            "id": "uuid", "path": "text", "received_at": "timestamptz", "source": "text",
            "body": "bytea", "status": "smallint", "answer": "text", "duration_us": "integer",
        },
    )  # fmt: skip
    now = datetime(2026, 3, 29, 0, 59, 59, 1, tzinfo=UTC)
    bodies = [bytes(range(256)), b"", b"{}", b"\\x00"]
    rows: list[Any] = [(f"{n:032x}", "/bets", now, "", body, 200 + n, "", n) for n, body in enumerate(bodies)]
    with writing(empty_world.engine) as session:
        assert write_at_once(session, [insert(rows)]) == [None]
        from wallet_hooks.deliveries.models import Delivery  # noqa: PLC0415

        stored = session.query(Delivery).order_by(Delivery.id).all()
        assert [row.body for row in stored] == bodies
        assert {row.received_at for row in stored} == {now}
        assert [row.status for row in stored] == [200, 201, 202, 203]


def test_an_error_in_one_call_is_that_call_s_own(world: World) -> None:
    duplicate = RowStatement(
        "INSERT INTO brand (id, client, currency, timezone, day_start, policy)"
        " SELECT id, 'acme', 'EUR', 'UTC', '', '{{}}'"
        " FROM {added}",
        added={"id": "bigint"},
    )
    with pytest.raises(Exception, match=r"(?i)unique"), writing(world.engine) as session:
        run_together(session, [ECHO([(1, "x")]), duplicate([(5,)]), ECHO([(2, "y")])])
