"""Exports leave the processors to callbacks while these are taken."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.world import World, bet
from wallet_hooks.database import reading
from wallet_hooks.finance import pacing
from wallet_hooks.finance.pacing import Pace, at_a_pace

_RATE = 10_000
# Batches of an export: the number of rows, and the seconds that reading them took.
_BATCHES = st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 0.5)), min_size=2, max_size=50)


@given(_BATCHES)
def test_while_transactions_are_posted_rows_keep_to_the_rate(batches: list[tuple[int, float]]) -> None:
    """The first batch tells what was posted before, the second one that transactions are posted."""
    pace, now, instants = Pace(), 0.0, []
    for number, (rows, seconds) in enumerate(batches):
        now += seconds
        pace.observe(number, now)
        now += pace.pause(rows, now)
        instants.append(now)
    rows_after_second = sum(rows for rows, _ in batches[2:])
    assert rows_after_second <= _RATE * (instants[-1] - instants[1]) * (1 + 1e-9) + 0.001


@given(_BATCHES)
def test_in_a_quiet_ledger_nothing_pauses(batches: list[tuple[int, float]]) -> None:
    pace = Pace()
    now = 0.0
    for rows, seconds in batches:
        now += seconds
        pace.observe(7, now)
        assert pace.pause(rows, now) == 0


def test_a_second_after_the_last_transaction_the_reader_goes_on_at_full_speed() -> None:
    pace = Pace()
    pace.observe(1, 100.0)
    assert pace.pause(5_000, 100.0) == 0
    pace.observe(2, 100.0)
    assert pace.pause(5_000, 100.0) == 0
    assert pace.pause(5_000, 100.01) == pytest.approx(0.49)
    pace.observe(2, 100.99)
    assert pace.pause(2_500, 100.99) == 0  # it took longer than its rows may
    assert pace.pause(5_000, 100.995) > 0
    assert pace.pause(5_000, 101.0) == 0


def test_where_transactions_are_not_counted_nothing_pauses() -> None:
    pace = Pace()
    for number in range(5):
        pace.observe(None, number / 100)
        assert pace.pause(10_000, number / 100) == 0


def _batches(world: World, *, place: bool) -> Iterator[pa.RecordBatch]:
    for number in range(5):
        if place:
            assert world.place(bet(f"paced{number}", "0.10")).status == 200
        yield pa.record_batch({"line": pa.array(range(number * 4000, (number + 1) * 4000))})


def _pauses(world: World, monkeypatch: pytest.MonkeyPatch, *, place: bool) -> list[float]:
    """Return the pauses of a reader in a snapshot, with bets placed between its batches or without."""
    pauses: list[float] = []
    sleeping: Any = type("Time", (), {"sleep": staticmethod(pauses.append)})
    monkeypatch.setattr(pacing, "time", sleeping)
    monkeypatch.setattr(pacing, "_CHECKED", 0.0)
    with reading(world.engine) as session:
        found = list(at_a_pace(session, _batches(world, place=place)))
    assert [batch.num_rows for batch in found] == [12_000, 8_000]
    assert [line for batch in found for line in batch["line"].to_pylist()] == list(range(20_000))
    return pauses


def test_an_export_pauses_while_bets_are_placed_and_not_otherwise(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second batch finds that bets are placed. SQLite does not count them in a snapshot."""
    expected = 3 if world.engine.dialect.name == "postgresql" else 0
    assert len(_pauses(world, monkeypatch, place=True)) == expected
    assert _pauses(world, monkeypatch, place=False) == []
