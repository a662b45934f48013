"""Callbacks where each brand has a schema: those of one brand, of several, and of none that exists."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import text
from werkzeug.test import EnvironBuilder

from tests.brand_schemas.conftest import BRANDS
from tests.service import post, served
from tests.world import OK, World, bet, error, failed, refund, refused, result
from wallet_hooks.database import pipelines, reading
from wallet_hooks.group_commit import GroupCommit
from wallet_hooks.sportsbook import commits
from wallet_hooks.web.api import GROUPED_API, ApiRequest, Call, GroupedApi, answer_group


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
        calls = [call(callbacks, {"bets": [bet(uid, "1.00", client=client)]}) for client in BRANDS]
        with patch.object(GroupCommit, "run_together", autospec=True, side_effect=GroupCommit.run_together) as run:
            replies = answer_group(callbacks, calls, wait=True)
        return [reply.status for reply in replies if reply], run.call_count

    assert together(1) == ([200, 200, 200], 3)
    with spread.of("west").begin() as connection:
        connection.execute(text("LOCK TABLE customer"))
        assert together(2) == ([200, 200, 503], 3)
        assert together(3) == ([200, 200, 503], 2)
    assert [wagers(spread, client) for client in BRANDS] == [["1", "2", "3"]] * 2 + [["1"]]


def call(grouped: GroupedApi, body: object) -> Call:
    data = json.dumps(body)
    environ = EnvironBuilder(path="/bets", method="POST", data=data, content_type="application/json").get_environ()
    environ["REMOTE_ADDR"] = "127.0.0.1"
    return Call(grouped.endpoints["/bets"], ApiRequest(environ, grouped.settings))
