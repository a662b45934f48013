"""Deliveries in the console: what caused a posting, and their replay and fixtures."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from tests.console.staff import actions, csrf_token, deliveries, links, signed_in
from tests.test_commands import Shell
from tests.world import World, bet, result
from wallet_hooks.database import writing
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.replay.fixture import read_cases


@pytest.mark.all_together
def test_a_fixture_of_a_delivery_replays(settled: World, tmp_path: Path) -> None:
    browser = signed_in(settled, "qa")
    for path in deliveries(browser.page("/console/deliveries")):
        file = tmp_path / "case.json"
        file.write_bytes(browser.get(f"{path}/fixture").data)
        (case,) = read_cases(file)
        assert case.expect["status"] == 200
        Shell("sqlite:///unused.db").ok("replay", "run", str(file))


@pytest.fixture
def raced(world: World) -> tuple[World, dict[int, UUID]]:
    """A world in which copies of a bet, one with another amount, raced; and the ids of these callbacks, by status.

    One was refused for another bet of the request and decided first; the one with another amount arrived first.
    """
    world.place(bet(1), bet(2, "1000.00"))
    for amount in ("10.00", "11.00", "10.00"):
        world.place(bet(1, amount))
    with writing(world.engine) as session:
        undecided, first, refused, _ = session.scalars(select(Delivery).order_by(Delivery.received_at)).all()
        ids = {402: undecided.id, 200: first.id, 409: UUID(int=first.id.int - (1 << 90))}
        session.execute(update(DeliveryBet).values(delivery_id=ids[409]).where(DeliveryBet.delivery_id == refused.id))
        session.execute(update(Delivery).values(id=ids[409]).where(Delivery.id == refused.id))
        began = first.received_at - timedelta(seconds=5)
        session.execute(update(Delivery).values(received_at=began, duration_us=10_000_000))
    return world, ids


def test_the_callback_that_was_taken_is_the_cause_of_its_posting(raced: tuple[World, dict[int, UUID]]) -> None:
    world, ids = raced
    browser = signed_in(world, "operations")
    posted = world.wager("1")["transactions"][0]["id"]
    assert deliveries(browser.page(f"/console/ledger/transactions/{posted}")) == [f"/console/deliveries/{ids[200]}"]
    link = f"/console/ledger/transactions/{posted}"
    shown = {one: link in links(browser.page(one)) for one in deliveries(browser.page("/console/deliveries"))}
    assert [one for one, is_cause in shown.items() if is_cause] == [f"/console/deliveries/{ids[200]}"]


def test_the_callback_of_a_settlement_is_found_beside_one_of_the_same_id_that_failed(world: World) -> None:
    """An answer names the bets that failed by their ids alone, which may be those of two games."""
    world.provider(game="other")
    world.place(bet(9))
    world.place(bet(9, game="other"))
    assert world.settle(result(9), result(9, game="other", user=8)).status == 409
    browser = signed_in(world, "operations")
    settled = [one for one in world.wager()["transactions"] if one["kind"] == "settlement"]
    (cause,) = deliveries(browser.page(f"/console/ledger/transactions/{settled[0]['id']}"))
    assert cause == deliveries(browser.page("/console/deliveries"))[-1]


@pytest.mark.all_together
def test_callbacks_that_raced_replay_in_the_order_of_their_decisions(
    raced: tuple[World, dict[int, UUID]], tmp_path: Path
) -> None:
    world, ids = raced
    browser, file = signed_in(world, "qa"), tmp_path / "case.json"
    for earlier, (status, id_) in enumerate(ids.items()):
        file.write_bytes(browser.get(f"/console/deliveries/{id_}/fixture").data)
        (case,) = read_cases(file)
        assert (case.expect["status"], len(case.document["given"].get("requests", ()))) == (status, earlier)


def test_a_replay_shows_what_would_be_answered_now(world: World) -> None:
    world.place(bet(1, "1000.00"))
    browser = signed_in(world, "qa")
    (path,) = deliveries(browser.page("/console/deliveries"))
    assert "would be answered the same now: 402" in browser.submit(path, f"{path}/replay").text
    world.change_customer(credit_limit=2000_00)
    changed = browser.submit(path, f"{path}/replay").text
    assert "would be answered differently now" in changed
    assert "<del>- 402</del>" in changed
    assert "<ins>+ 200</ins>" in changed
    assert world.count("wager") == 1
    assert world.balance() == "100.00", "the replay happens elsewhere"
    assert {action for _, action, _ in actions(world)} == {"replay"}


@pytest.mark.all_together
def test_what_a_limit_refused_is_replayed_with_the_customers_other_bets(world: World, tmp_path: Path) -> None:
    limit = ("--type", "bet", "--frame", "day", "--amount", "15.00", "--reason", "asked")
    Shell(world.settings.database_url).ok("limit", "set", "--brand", "acme", "--uid", "7", *limit)
    world.place(bet(1, "10.00"))
    assert world.place(bet(2, "10.00")).status == 402
    browser = signed_in(world, "qa")
    (path,) = deliveries(browser.page("/console/deliveries", outcome="refused"))
    assert "would be answered the same now: 402" in browser.submit(path, f"{path}/replay").text
    file = tmp_path / "case.json"
    file.write_bytes(browser.get(f"{path}/fixture").data)
    Shell("sqlite:///unused.db").ok("replay", "run", str(file))
    assert ("qa", "download_fixture", path.rpartition("/")[2]) in actions(world)


def test_a_limit_that_was_set_later_is_not_a_precondition(world: World) -> None:
    world.place(bet(1, "10.00"))
    limit = ("--type", "bet", "--frame", "day", "--amount", "5.00", "--reason", "asked")
    Shell(world.settings.database_url).ok("limit", "set", "--brand", "acme", "--uid", "7", *limit)
    browser = signed_in(world, "qa")
    (path,) = deliveries(browser.page("/console/deliveries"))
    assert "would be answered the same now: 200" in browser.submit(path, f"{path}/replay").text


@pytest.mark.all_together
def test_what_cannot_be_replayed_says_why_and_leads_back(world: World) -> None:
    world.brand("other", id_=1008)
    assert world.place(bet(1, client="other")).status == 403
    browser = signed_in(world, "qa")
    (path,) = deliveries(browser.page("/console/deliveries"))
    assert "other 7" in browser.page(path), "the bets of a rejected request are shown"
    token = csrf_token(browser.page(path))
    headers = {"Referer": f"http://localhost{path}"}
    answer = browser.client.post(f"{path}/replay", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 400
    assert "cannot be replayed" in answer.text
    assert f'<a href="{path}">Back</a>' in answer.text
