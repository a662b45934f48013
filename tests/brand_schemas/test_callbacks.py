"""Callbacks where each brand has a schema: those of one brand, of several, and of none that exists."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, text
from werkzeug.test import EnvironBuilder

from tests.brand_schemas.conftest import BRANDS
from tests.service import post, served
from tests.world import OK, World, bet, error, failed, refund, refused, result
from wallet_hooks.database import pipelines, reading
from wallet_hooks.group_commit import GroupCommit
from wallet_hooks.identity.credentials import authenticate
from wallet_hooks.sportsbook import commits, routes
from wallet_hooks.sportsbook.messages import Declined, answer_of
from wallet_hooks.web.api import GROUPED_API, POSTPONED, ApiRequest, Call, GroupedApi, Reply, answer_group


def wagers(world: World, client: str) -> list[str]:
    with reading(world.of(client)) as session:
        return sorted(session.scalars(text("SELECT uid FROM wager WHERE status <> 'refused'")))


def shared_deliveries(world: World) -> list[int]:
    with reading(world.shared) as session:
        return list(session.scalars(text("SELECT status FROM public.delivery ORDER BY id")))


def test_the_same_ids_are_bets_of_each_brand(spread: World) -> None:
    for client in BRANDS:
        assert spread.place(bet(1, client=client)) == OK
    assert spread.settle(result(1, client="nordbet")) == OK
    assert spread.cancel(refund(1, client="west")) == OK
    assert [spread.balance(client=client) for client in BRANDS] == ["90.00", "115.00", "100.00"]
    assert [wagers(spread, client) for client in BRANDS] == [["1"]] * 3
    assert shared_deliveries(spread) == []
    assert spread.differences() == []


def test_bets_of_several_brands_are_taken_together_or_not_at_all(spread: World) -> None:
    both = [bet(2, "60.00", client="acme"), bet(2, "60.00", client="west")]
    declined = refused("insufficient_funds", "3")
    assert spread.place(*both) == OK
    assert spread.place(bet(3, "10.00", client="acme"), bet(3, "60.00", client="west")) == declined
    assert spread.place(bet(3, "10.00", client="acme"), bet(3, "60.00", client="west")) == declined
    assert spread.place(*both) == OK
    assert [spread.balance(client=client) for client in BRANDS] == ["40.00", "100.00", "40.00"]
    assert [wagers(spread, client) for client in BRANDS] == [["2"], [], ["2"]]
    assert shared_deliveries(spread) == [200, 402, 402, 200]
    assert spread.differences() == []


def test_settlements_of_several_brands_are_done_bet_by_bet(spread: World) -> None:
    assert spread.place(bet(4, client="acme"), bet(4, client="west")) == OK
    settled = spread.settle(result(4, client="acme"), result(5, client="nordbet"), result(4, client="west"))
    assert settled == failed(404, "unknown_bet", ["5"])
    assert [spread.balance(client=client) for client in BRANDS] == ["115.00", "100.00", "115.00"]
    assert spread.differences() == []


def test_a_brand_that_does_not_exist_is_refused_and_stored_beside_the_brands(spread: World) -> None:
    assert spread.place(bet(6, client="nobody")) == error(402, "customer_unknown")
    assert spread.place(bet(6, client="acme"), bet(6, client="nobody")).status == 402
    assert spread.post("/bets", b"{").status == 400
    assert shared_deliveries(spread) == [402, 402, 400]
    assert spread.balance() == "100.00"


@pytest.mark.served
def test_brands_are_served_at_once_by_workers(spread: World, tmp_path: Path) -> None:
    """Bets of one brand and of two at once, with repetitions, through two worker processes."""
    kinds = (("acme",), ("nordbet",), ("west", "acme"), ("acme", "nordbet"))
    bodies = [
        {"bets": [bet(f"{number}-{kind}", "0.50", client=client) for client in clients]}
        for number in range(40)
        for kind, clients in enumerate(kinds)
    ]
    spread.close_app()
    with (
        served(spread.settings.database_url, tmp_path, workers=2, WALLET_HOOKS_BRAND_SCHEMAS="on") as (url, _),
        ThreadPoolExecutor(16) as threads,
    ):
        replies = list(threads.map(lambda body: post(url, "/bets", body), bodies + bodies))
    assert replies == [OK] * len(replies)
    # Each customer took part in 40 requests for each of its places in the four kinds.
    assert [spread.balance(client=client) for client in BRANDS] == ["40.00", "60.00", "80.00"]
    assert spread.differences() == []


def test_statements_that_are_prepared_for_many_brands_are_forgotten(
    spread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each schema has its own, which would otherwise fill the server's memory."""
    monkeypatch.setattr(pipelines, "_MOST_PREPARED", 20)
    for number in range(9):
        assert spread.place(bet(number, "1.00", client=list(BRANDS)[number % 3])) == OK
    with spread.callbacks_engine.connect() as connection:
        count = connection.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
    assert 0 < (count or 0) <= 40
    assert spread.differences() == []


def test_a_brand_that_is_stuck_holds_up_the_others_once(spread: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its callbacks are refused at once for a while, instead of making those that arrive with them wait each time."""
    spread.configure(lock_timeout=0.3)
    monkeypatch.setattr(commits, "_SLOW", 0.1)
    monkeypatch.setattr(commits, "_OPEN_SECONDS", 60.0)
    callbacks = spread.app.extensions[GROUPED_API]

    def together(uid: int) -> tuple[list[int], int]:
        """Return the statuses, and for how many brands the database was asked."""
        calls = calls_of(callbacks, *((uid, client) for client in BRANDS))
        with patch.object(GroupCommit, "run_together", autospec=True, side_effect=GroupCommit.run_together) as run:
            replies = answer_group(callbacks, calls, wait=True)
        return [reply.status for reply in replies if isinstance(reply, Reply)], run.call_count

    assert together(1) == ([200, 200, 200], 3)
    with spread.of("west").begin() as connection:
        connection.execute(text("LOCK TABLE customer"))
        assert together(2) == ([200, 200, 503], 3)
        assert together(3) == ([200, 200, 503], 2)
    assert [wagers(spread, client) for client in BRANDS] == [["1", "2", "3"]] * 2 + [["1"]]


def calls_of(grouped: GroupedApi, *bets: tuple[int, str]) -> list[Call]:
    """Return calls that place a bet each, of a brand."""
    return [call(grouped, {"bets": [bet(uid, "1.00", client=client)]}) for uid, client in bets]


def test_on_one_server_a_group_is_of_the_first_brand_and_the_others_are_postponed(
    spread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "has_citus", lambda _: False)
    callbacks = spread.app.extensions[GROUPED_API]
    calls = calls_of(callbacks, (1, "west"), (1, "acme"), (2, "west"), (3, "west"), (2, "acme"))
    with (
        patch.object(GroupCommit, "run_together", autospec=True, side_effect=GroupCommit.run_together) as run,
        patch.object(routes, "authenticate", side_effect=authenticate) as authenticated,
    ):
        first = answer_group(callbacks, calls, wait=False)
        assert [reply is POSTPONED for reply in first] == [False, True, False, False, True]
        second = answer_group(callbacks, [calls[1], calls[4]], wait=False)
    assert [reply.status for reply in [*first, *second] if isinstance(reply, Reply)] == [200] * 5
    assert run.call_count == 2
    assert authenticated.call_count == 5, "a callback is read once"
    assert [wagers(spread, client) for client in BRANDS] == [["1", "2"], [], ["1", "2", "3"]]
    assert spread.differences() == []


def test_on_one_server_a_brand_that_is_stuck_holds_up_the_next_groups_once(
    spread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its callbacks are refused at once for a while also where a group has no others."""
    spread.configure(lock_timeout=0.3)
    monkeypatch.setattr(commits, "has_citus", lambda _: False)
    monkeypatch.setattr(commits, "_SLOW", 0.1)
    monkeypatch.setattr(commits, "_OPEN_SECONDS", 60.0)
    callbacks = spread.app.extensions[GROUPED_API]

    def alone(uid: int, client: str) -> tuple[list[int], int]:
        """Return the statuses, and how often the database was asked."""
        with patch.object(GroupCommit, "run_together", autospec=True, side_effect=GroupCommit.run_together) as run:
            replies = answer_group(callbacks, calls_of(callbacks, (uid, client)), wait=False)
        return [reply.status for reply in replies if isinstance(reply, Reply)], run.call_count

    with spread.of("west").begin() as connection:
        connection.execute(text("LOCK TABLE customer"))
        assert alone(1, "west") == ([503], 1)
        assert alone(2, "west") == ([503], 0)
        assert alone(2, "acme") == ([200], 1)


@pytest.mark.parametrize(("has_citus", "wait"), [(True, False), (False, True)])
def test_on_several_nodes_and_while_waiting_for_locks_all_brands_are_processed_at_once(
    spread: World, monkeypatch: pytest.MonkeyPatch, has_citus: bool, wait: bool
) -> None:
    monkeypatch.setattr(commits, "has_citus", lambda _: has_citus)
    callbacks = spread.app.extensions[GROUPED_API]
    replies = answer_group(callbacks, calls_of(callbacks, *((1, client) for client in BRANDS)), wait=wait)
    assert [reply.status for reply in replies if isinstance(reply, Reply)] == [200] * 3
    assert [wagers(spread, client) for client in BRANDS] == [["1"]] * 3


def test_while_the_database_is_lost_at_the_first_group_of_several_brands_all_get_503(
    spread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = spread.app.extensions[GROUPED_API]
    calls = calls_of(callbacks, *((1, client) for client in BRANDS))
    with monkeypatch.context() as lost:  # the first group asks whether there are several nodes
        lost.setattr(commits, "has_citus", terminated)
        replies = answer_group(callbacks, calls, wait=False)
    busy = answer_of(Declined("try_again"))
    answers = [(reply.status, reply.body) for reply in replies if isinstance(reply, Reply)]
    assert answers == [(busy.status, busy.body)] * 3
    assert [wagers(spread, client) for client in BRANDS] == [[]] * 3
    assert spread.place(bet(1, "1.00", client="west")) == OK


def terminated(connection: Connection) -> bool:
    """Lose the connection."""
    return bool(connection.scalar(text("SELECT pg_terminate_backend(pg_backend_pid())")))


def call(grouped: GroupedApi, body: object) -> Call:
    data = json.dumps(body)
    environ = EnvironBuilder(path="/bets", method="POST", data=data, content_type="application/json").get_environ()
    environ["REMOTE_ADDR"] = "127.0.0.1"
    return Call(grouped.endpoints["/bets"], ApiRequest(environ, grouped.settings))
