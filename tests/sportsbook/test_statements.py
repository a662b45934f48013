"""A group of one and a group of a hundred use the same number of statements."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import pytest

from tests import citus
from tests.world import World, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.database.pipelines import _PipelineUse
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.sportsbook.messages import Callback, ProviderRequest
from wallet_hooks.sportsbook.schemas import read_cancel_bets, read_place_bets, read_settle_bets
from wallet_hooks.sportsbook.service import process_batch
from wallet_hooks.web.requests import new_request_id

# Time-outs are set in one statement, on Citus in up to four.
MOST_STATEMENTS = 16 if citus.COORDINATOR is None else 20


def place(numbers: Sequence[int]) -> list[ProviderRequest]:
    return [_read(read_place_bets, {"bets": [bet(n, "0.10", user=n % 50)]}) for n in numbers]


def settle(numbers: Sequence[int]) -> list[ProviderRequest]:
    return [_read(read_settle_bets, {"pools": [result(n, "0.30", user=n % 50, stake="0.10")]}) for n in numbers]


def settle_again(numbers: Sequence[int]) -> list[ProviderRequest]:
    return [_read(read_settle_bets, {"pools": [result(n, "0", user=n % 50, stake="0.10")]}) for n in numbers]


def cancel(numbers: Sequence[int]) -> list[ProviderRequest]:
    return [_read(read_cancel_bets, {"pools": [refund(n, user=n % 50)]}) for n in numbers]


def _read(read: Callable[[bytes], ProviderRequest], document: Any) -> ProviderRequest:
    return read(json.dumps(document).encode())


def statements_of(world: World, requests: Sequence[ProviderRequest]) -> int:
    """How many statements the engine itself was sent for the group, the transaction's own among them."""
    brands = read_directory(world.engine).brands
    callbacks = [
        Callback(
            new_request_id(clock.now()), "/bets", request, brands, "127.0.0.1", b"{}", clock.now(), clock.monotonic()
        )
        for request in requests
    ]
    with world.callbacks_engine.begin() as connection:
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            seen: set[str] = set()  # a trigger is reported as the statement that fired it, once more
            driver.set_trace_callback(seen.add)
            given = process_batch(connection, callbacks, read_clock=clock.now)
            driver.set_trace_callback(None)
            count = len(seen)
        else:
            with patch.object(_PipelineUse, "_send", autospec=True, side_effect=_PipelineUse._send) as send:
                given = process_batch(connection, callbacks, read_clock=clock.now)
            count = send.call_count
            assert count > 1
    assert {one.status for one in given if one is not None} == {200}
    return count


@pytest.mark.parametrize("kind", [place, settle, settle_again, cancel], ids=lambda kind: kind.__name__)
def test_the_number_of_statements_does_not_depend_on_the_group(
    world: World, kind: Callable[[Sequence[int]], list[ProviderRequest]]
) -> None:
    for number in range(50):
        if number != 7:
            world.customer(str(number))
    known = list(range(1000, 1111))
    if kind is not place:
        statements_of(world, place(known))
    if kind is settle_again:
        statements_of(world, settle(known))
    first = statements_of(world, kind(known[:1]))
    alone = statements_of(world, kind(known[1:2]))
    together = statements_of(world, kind(known[10:110]))
    assert together == alone <= first
    assert together <= MOST_STATEMENTS
    assert world.differences() == []
