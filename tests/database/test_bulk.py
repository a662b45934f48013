"""Bulk statements pass any values unchanged to both engines and return the columns' types."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import Integer, LargeBinary, String, column, literal, select, true

from tests.world import World
from wallet_hooks.database import writing
from wallet_hooks.database.bulk import BulkStatement, RowSet, look_up_rows, pipeline, run
from wallet_hooks.database.writes import RowCountError, Writes, transaction, write
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.sportsbook.models import CouponEvent

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
    "%(x)s",
    "$1",
    ":x",
    " ",
    "a,b",
    "line\nbreak",
    "\x01\t\x7f",
    "\\n",
    '\\"',
    '"\\\n',
    "\u2028",
]


class Echoed(NamedTuple):
    number: int
    value: str | bytes | None


_ECHOED = RowSet("echoed", column("number", Integer), column("value", String))
ECHO = BulkStatement(_ECHOED, lambda _: select(*_ECHOED.c).order_by(_ECHOED.c.number), row=Echoed)


@pytest.mark.parametrize("size", [1, 2, 20])
def test_sets_of_texts_are_unchanged(empty_world: World, size: int) -> None:
    rows = [(number, TEXTS[number % len(TEXTS)] if number % 4 else None) for number in range(size)]
    with empty_world.engine.begin() as connection:
        assert run(connection, ECHO(rows)) == rows


@pytest.mark.parametrize("text", TEXTS)
def test_each_text_is_unchanged_alone_and_among_others(empty_world: World, text: str) -> None:
    for values in ([text], [text, text], [text, "other"], [text, None]):
        with empty_world.engine.begin() as connection:
            assert [row.value for row in run(connection, ECHO(list(enumerate(values))))] == values


_BYTES = RowSet("echoed", column("number", Integer), column("value", LargeBinary))
ECHO_BYTES = BulkStatement(_BYTES, lambda _: select(*_BYTES.c).order_by(_BYTES.c.number), row=Echoed)


@pytest.mark.parametrize(
    "values", [[b""], [bytes(range(256))], [b"\\x00", b'"', b"{}", b"NULL"], [None, b"1"], [b"1", None], [None, None]]
)
def test_bytes_are_unchanged(empty_world: World, values: list[bytes | None]) -> None:
    with empty_world.engine.begin() as connection:
        assert [row.value for row in run(connection, ECHO_BYTES(list(enumerate(values))))] == values


@pytest.mark.parametrize("number", [7, None])
@pytest.mark.parametrize("size", [1, 3])
def test_columns_without_a_value_keep_the_number_of_rows(empty_world: World, number: int | None, size: int) -> None:
    with empty_world.engine.begin() as connection:
        assert run(connection, ECHO([(number, None)] * size)) == [(number, None)] * size


def test_a_call_without_rows_is_allowed_and_each_call_has_its_own_result(empty_world: World) -> None:
    with empty_world.engine.begin() as connection:
        with pipeline(connection) as reads:
            empty, one = reads.add(ECHO([])), reads.add(ECHO([(1, "x")]))
        assert (empty.rows, one.rows) == ([], [Echoed(1, "x")])


_DELIVERY = Delivery.__table__.c
_received = RowSet("received", *_DELIVERY)
_INSERT: BulkStatement[Any] = BulkStatement(
    _received, lambda dialect: dialect.insert(Delivery).from_select(_received.names, select(*_received.c))
)


@dataclass(slots=True)
class Stored:
    id: UUID
    received_at: datetime
    body: bytes
    status: int


_requested = RowSet("requested", _DELIVERY.id)
_FIND = look_up_rows(_requested, Delivery, Stored)


def test_numbers_bytes_and_instants_keep_values_and_types(empty_world: World) -> None:
    now = datetime(2026, 3, 29, 0, 59, 59, 1, tzinfo=UTC)
    bodies = [bytes(range(256)), b"", b"{}", b"\\x00"]
    facts = {"path": "/bets", "received_at": now, "source": "", "answer": "", "duration_us": 1, "sequence": None}
    rows: list[Any] = [
        [(facts | {"id": f"{n:032x}", "body": body, "status": 200 + n})[name] for name in _received.names]
        for n, body in enumerate(bodies)
    ]
    with empty_world.engine.begin() as connection:
        write(connection, _INSERT(rows))
        found = run(connection, _FIND([(f"{n:032x}",) for n in (0, 1, 2, 3, 99)]))
    assert sorted((row.body, row.status) for row in found) == sorted((body, 200 + n) for n, body in enumerate(bodies))
    assert {row.received_at for row in found} == {now}


class Mapped(NamedTuple):
    pool_uid: str


_EVENT = CouponEvent.__table__.c
_mapped = RowSet("mapped", _EVENT.game, coupon=_EVENT.pool_uid)
_NAMES = ["game", "pool_uid", "event"]
_MAP_ONCE: BulkStatement[Any] = BulkStatement(
    _mapped, lambda dialect: dialect.insert(CouponEvent).from_select(_NAMES, select(*_mapped.c, literal("final")))
)
_MAP = BulkStatement(
    _mapped,
    lambda dialect: (
        dialect.insert(CouponEvent)
        .from_select(_NAMES, select(*_mapped.c, literal("final")).where(true()))
        .on_conflict_do_nothing(index_elements=["game", "pool_uid"])
        .returning(_EVENT.pool_uid)
    ),
    row=Mapped,
)


def test_writes_that_change_the_expected_rows_are_kept(empty_world: World) -> None:
    with empty_world.engine.begin() as connection:
        writes = Writes()
        writes.add(_MAP([("betflex", "1"), ("betflex", "2")]), expected=2)
        writes.add(_INSERT([]), expected=5)
        writes.add(_MAP([("other", "1")]))
        writes.run(connection)
    with empty_world.engine.begin() as connection:
        assert run(connection, _MAP([("betflex", "1"), ("betflex", "4")])) == [Mapped("4")]


@pytest.mark.parametrize("is_last", [False, True], ids=["run", "run_last"])
def test_a_write_that_changes_other_rows_than_expected_fails_the_transaction(empty_world: World, is_last: bool) -> None:
    writes = Writes()
    writes.add(_MAP([("betflex", "1")]))
    writes.add(_MAP([("betflex", "2"), ("betflex", "3")]), expected=3)
    run_writes = writes.run_last if is_last else writes.run
    with pytest.raises(RowCountError, match="2 rows changed instead of 3"), transaction(empty_world.engine) as open_one:
        run_writes(open_one)
    with empty_world.engine.begin() as connection:
        assert run(connection, _MAP([("betflex", "1")])) == [Mapped("1")]


def test_last_writes_are_committed_with_their_transaction_only(empty_world: World) -> None:
    def wrote(uid: str) -> Writes:
        writes = Writes()
        writes.add(_MAP([("betflex", uid)]))
        return writes

    with pytest.raises(ZeroDivisionError), transaction(empty_world.engine) as connection:
        wrote("1").run_last(connection)
        raise ZeroDivisionError
    with transaction(empty_world.engine) as connection:
        wrote("2").run_last(connection)
        wrote("3").run_last(connection)
    with empty_world.engine.begin() as connection:
        wrote("4").run_last(connection)
    with empty_world.engine.begin() as connection:
        assert run(connection, _MAP([("betflex", uid) for uid in "1234"])) == [Mapped("1")]


def test_an_error_in_one_call_rolls_back_the_transaction(world: World) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"), writing(world.engine) as session:  # noqa: SIM117
        with pipeline(session.connection()) as calls:
            calls.add(ECHO([(1, "x")]))
            calls.add(_MAP_ONCE([("betflex", "1"), ("betflex", "1")]))
            calls.add(ECHO([(2, "y")]))


def test_a_row_type_must_match_the_selected_columns(empty_world: World) -> None:
    wrong = BulkStatement(_ECHOED, lambda _: select(_ECHOED.c.value, _ECHOED.c.number), row=Echoed)
    with pytest.raises(AssertionError), empty_world.engine.begin() as connection:
        run(connection, wrong([(1, "x")]))
