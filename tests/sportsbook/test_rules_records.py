"""Rules 10 to 12 of the callbacks, and bets in another currency: records, exceptions, any order."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.world import OK, World, bet, failed, refund, result
from wallet_hooks import clock
from wallet_hooks.database import has_row_locks, reading, writing
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.deliveries.service import prune
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.ledger.rates import set_rate
from wallet_hooks.sportsbook.corrections import resettle
from wallet_hooks.sportsbook.messages import BetKey

pytestmark = pytest.mark.usefixtures("ledger_invariants")


@pytest.fixture
def abroad(world: World) -> World:
    """Customer 8 keeps GBP; one EUR is 0.855 GBP."""
    world.customer("8", currency="GBP")
    with writing(world.engine) as session:
        set_rate(session, source="EUR", target="GBP", rate="0.855", now=clock.now())
    return world


@pytest.mark.all_together
def test_10_every_callback_is_stored_as_it_came(world: World) -> None:
    bodies = [b'{"bets": [ ] }', b"\x00\xff not json", b'{"bets":[{"unknown":"kept"}]}']
    for body in bodies:
        world.post("/bets", body)
    with reading(world.engine) as session:
        stored = session.query(Delivery).order_by(Delivery.received_at).all()
        assert [delivery.body for delivery in stored] == bodies
        assert {delivery.status for delivery in stored} == {400}
        assert all(delivery.duration_us > 0 and delivery.source == "127.0.0.1" for delivery in stored)


def test_10_callbacks_are_found_by_bet(world: World) -> None:
    world.place(bet(1), bet(2))
    world.place(bet(1, "11.00"))
    world.settle(result(1))
    found = [(delivery["path"], delivery["status"]) for delivery in world.wager(1)["deliveries"]]
    assert found == [("/bets", 200), ("/bets", 409), ("/winners", 200)]
    assert [delivery["path"] for delivery in world.wager(2)["deliveries"]] == ["/bets"]


def test_10_deliveries_are_pruned_after_their_retention(world: World) -> None:
    world.place(bet())
    later = clock.now() + timedelta(days=31)
    with writing(world.engine) as session:
        assert prune(session, now=later - timedelta(days=2), retention_days=30, at_most=10) == 0
        assert prune(session, now=later, retention_days=30, at_most=10) == 1
    assert (world.count("delivery"), world.count("delivery_bet"), world.count("wager")) == (0, 0, 1)


def test_10_deliveries_that_another_process_is_deleting_are_left_to_it(world: World) -> None:
    if not has_row_locks(world.engine):  # the second writer would wait for the first
        return
    world.place(bet(1))
    world.place(bet(2))
    later = clock.now() + timedelta(days=31)
    with writing(world.engine) as first, writing(world.engine) as second:
        assert prune(first, now=later, retention_days=30, at_most=1) == 1
        second.execute(text("SET LOCAL lock_timeout = '1s'"))
        assert prune(second, now=later, retention_days=30, at_most=10) == 1
    assert world.count("delivery") == 0


def test_11_an_unknown_bet_raises_one_exception_however_often(world: World) -> None:
    for _ in range(3):
        assert world.settle(result(404)) == failed(404, "unknown_bet", ["404"])
    assert [(raised["kind"], raised["bet"]) for raised in world.exceptions()] == [("unknown_bet", "404")]


def test_11_an_unknown_bet_that_arrives_and_is_settled_resolves_its_exception(world: World) -> None:
    for uid in (1, 2):
        world.settle(result(uid))
    world.place(bet(1), bet(2))
    assert [raised["resolved_at"] for raised in world.exceptions()] == [None, None]
    assert world.settle(result(1)) == OK
    first, second = world.exceptions()
    assert (first["bet"], first["reason"]) == ("1", "the bet came and was settled")
    assert first["resolved_at"] is not None
    assert second["resolved_at"] is None


def test_11_staff_replace_a_superseded_settlement(world: World) -> None:
    world.place(bet())
    world.settle(result(payout="25.00"))
    world.settle(result(payout="30.00"))
    brands = read_directory(world.engine).brands
    with writing(world.engine) as session:
        key = BetKey("betflex", "acme", "9")
        resettle(
            session.connection(),
            key,
            payout=2500,
            result="won",
            reason="ticket 12",
            brands=brands,
            read_clock=clock.now,
        )
    assert world.balance() == "115.00"
    assert world.settle(result(payout="25.00")) == OK
    assert world.settle(result(payout="30.00")) == failed(409, "superseded_settlement")


def test_12_any_order_of_retries_ends_as_one_clean_delivery(world: World) -> None:
    for _ in range(2):
        world.settle(result())
    for _ in range(2):
        world.place(bet())
    for _ in range(2):
        world.settle(result())
    world.cancel(refund())
    world.place(bet())
    assert (world.balance(), world.open_stakes()) == ("115.00", "0.00")
    assert [transaction["kind"] for transaction in world.wager()["transactions"]] == ["stake", "settlement"]


def test_a_bet_in_another_currency_is_taken_at_the_stored_rate(abroad: World) -> None:
    assert abroad.place(bet(user=8)) == OK
    assert abroad.balance("8") == "91.45"
    found = abroad.wager()
    assert (found["stake"], found["cost"], found["home_currency"], found["rate"]) == ("10.00", "8.55", "GBP", "0.855")


def test_a_payout_in_another_currency_uses_the_rate_of_its_stake(abroad: World) -> None:
    abroad.place(bet(user=8))
    with writing(abroad.engine) as session:
        set_rate(session, source="EUR", target="GBP", rate="0.5", now=clock.now() + timedelta(seconds=1))
    assert abroad.settle(result(user="8", payout="20.00")) == OK
    assert abroad.balance("8") == "108.55"
    assert abroad.settle(result(user="8", payout="0")) == OK
    assert abroad.balance("8") == "91.45"


def test_a_cancel_in_another_currency_returns_the_exact_cost(abroad: World) -> None:
    abroad.place(bet(user=8, amount="0.03"))
    assert abroad.balance("8") == "99.97"
    assert abroad.cancel(refund(user="8")) == OK
    assert abroad.balance("8") == "100.00"
    assert abroad.house_balance("equity:conversion") == 0
