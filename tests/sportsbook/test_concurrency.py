"""Rules 2, 4, 6 and 12 with real threads, and with two worker processes that share a database."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import text

from tests.service import post, served, workers_of
from tests.world import OK, JsonReply, World, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.database.writes import transaction
from wallet_hooks.identity.directory import Directory, read_directory
from wallet_hooks.sportsbook.messages import Answer, Callback
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.sportsbook.service import find_answers, process_batch
from wallet_hooks.web.requests import new_request_id

THREADS = 30


def at_once(actions: Sequence[Callable[[], JsonReply]]) -> list[JsonReply]:
    """Run the actions in as many threads, all released at the same moment."""
    barrier = Barrier(len(actions))

    def run(action: Callable[[], JsonReply]) -> JsonReply:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_thirty_copies_debit_once_and_all_get_200(world: World) -> None:
    replies = at_once([lambda: world.place(bet())] * THREADS)
    assert Counter(reply.status for reply in replies) == {200: THREADS}
    assert world.balance() == "90.00"
    assert len(world.wager()["deliveries"]) == THREADS


def test_concurrent_bets_take_exactly_the_balance(world: World) -> None:
    replies = at_once([partial(world.repeat, "/bets", {"bets": [bet(n)]}) for n in range(THREADS)])
    assert Counter(reply.status for reply in replies) == {200: 10, 402: THREADS - 10}
    assert (world.balance(), world.open_stakes()) == ("0.00", "100.00")
    assert world.differences() == []


def test_copies_with_other_facts_conflict_whoever_comes_first(world: World) -> None:
    world.customer("8")
    replies = at_once([partial(world.place, bet(user=7 + n % 2)) for n in range(THREADS)])
    assert Counter(reply.status for reply in replies) == {200: THREADS // 2, 409: THREADS // 2}
    assert sorted([world.balance(), world.balance("8")]) == ["100.00", "90.00"]


def test_concurrent_winners_pay_once(world: World) -> None:
    world.place(bet())
    replies = at_once([lambda: world.settle(result())] * THREADS)
    assert all(reply == OK for reply in replies)
    assert world.balance() == "115.00"


def test_bet_cancel_and_settlement_at_once_end_as_one_clean_delivery(world: World) -> None:
    for number in range(5):
        kinds = [
            partial(world.place, bet(number)),
            partial(world.cancel, refund(number)),
            partial(world.settle, result(number, "10.00")),
        ]
        at_once(kinds * 4)
        assert world.place(bet(number)).status in (200, 402)
        kinds_posted = [transaction["kind"] for transaction in world.wager(number)["transactions"]]
        assert kinds_posted in ([], ["stake", "cancel"], ["stake", "settlement"])
        assert (world.balance(), world.open_stakes()) == ("100.00", "0.00")
    assert world.differences() == []


@pytest.mark.served
def test_two_processes_agree_on_every_bet(world: World, tmp_path: Path) -> None:
    world.customer("8", balance="1000.00")
    with served(world.settings.database_url, tmp_path, workers=2) as (url, _):
        same = at_once([lambda: post(url, "/bets", {"bets": [bet(1)]})] * THREADS)
        drain = at_once([partial(post, url, "/bets", {"bets": [bet(100 + n, "7.00")]}) for n in range(THREADS)])
        either = at_once(
            [partial(post, url, "/bets", {"bets": [bet(2, user=7 + n % 2, amount="1.00")]}) for n in range(THREADS)]
        )
        paid = at_once([lambda: post(url, "/winners", {"pools": [result(1)]})] * THREADS)
    assert all(reply == OK for reply in same)
    assert Counter(reply.status for reply in drain) == {200: 12, 402: THREADS - 12}
    assert Counter(reply.status for reply in either) == {200: THREADS // 2, 409: THREADS // 2}
    assert all(reply == OK for reply in paid)
    taken_from_7 = 10 + 12 * 7 + (1 if world.balance("8") == "1000.00" else 0)
    assert world.balance() == f"{100 - taken_from_7 + 25}.00"
    assert world.differences() == []


@pytest.mark.served
@pytest.mark.slow
def test_kill_9_of_a_worker_under_load_loses_nothing_and_repeats_nothing(world: World, tmp_path: Path) -> None:
    world.customer("8", balance="10000.00")
    bodies = [{"bets": [bet(number, "1.00", user=8)]} for number in range(400)]
    with served(world.settings.database_url, tmp_path, workers=2) as (url, master):
        with ThreadPoolExecutor(16) as pool:
            replies = pool.map(lambda body: post(url, "/bets", body), bodies)
            for _ in range(3):
                time.sleep(0.15)
                os.kill(workers_of(master)[0], signal.SIGKILL)
            assert all(reply == OK for reply in replies)
        with ThreadPoolExecutor(16) as pool:
            assert all(reply == OK for reply in pool.map(lambda body: post(url, "/bets", body), bodies))
    assert (world.balance("8"), world.count("wager")) == ("9600.00", 400)
    assert world.differences() == []


def test_a_callback_that_was_committed_before_is_answered_as_it_was(world: World) -> None:
    """As after a connection that was lost with the answer to its COMMIT; meanwhile the answer would be another one."""
    directory = read_directory(world.engine)
    refused = callback_of(directory, bet(1, "100.01"))
    taken = callback_of(directory, bet(2, "10.00"))
    with transaction(world.callbacks_engine) as connection:
        first = process_batch(connection, [refused, taken], read_clock=clock.now)
    world.deposit("50.00")
    with transaction(world.callbacks_engine) as connection:
        assert find_answers(connection, [taken, refused, callback_of(directory, bet(3))]) == [*reversed(first), None]
    assert [answer.status for answer in first if answer] == [402, 200]
    assert first[1] == Answer(None, 200, '{"status":"OK"}')


def test_a_callback_is_booked_after_what_it_waited_for(world: World) -> None:
    world.configure(lock_timeout=10, statement_timeout=10)
    before, after = (datetime(2026, 11, day, tzinfo=UTC) for day in (20, 21))
    callback = callback_of(read_directory(world.engine), bet())
    now = [before]

    begun = Event()

    def place() -> None:
        begun.set()
        with transaction(world.callbacks_engine) as connection:
            process_batch(connection, [callback], read_clock=lambda: now[0])

    with ThreadPoolExecutor(1) as pool:
        with transaction(world.engine) as holder:
            holder.execute(text("UPDATE customer SET name = name"))
            placing = pool.submit(place)
            begun.wait()
            time.sleep(0.2)
            now[0] = after
        placing.result()
    assert world.wager()["transactions"][0]["booked_on"] == "2026-11-21"


def callback_of(directory: Directory, item: dict[str, Any]) -> Callback:
    request = read_place_bets(json.dumps({"bets": [item]}).encode())
    now = clock.now()
    return Callback(new_request_id(now), "/bets", request, directory.brands, "127.0.0.1", b"{}", now, clock.monotonic())
