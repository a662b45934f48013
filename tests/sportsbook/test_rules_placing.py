"""Rules 1 to 5 of the callbacks: stakes, repetitions, refusals, conflicts and cancels."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.world import OK, World, bet, error, failed, refund, refused, result
from wallet_hooks.database import writing
from wallet_hooks.ledger.journal import fingerprint

pytestmark = pytest.mark.usefixtures("ledger_invariants")


def test_1_one_refused_none_taken(world: World) -> None:
    assert world.place(bet(1, "60.00"), bet(2, "60.00")) == refused("insufficient_funds", "2")
    assert (world.balance(), world.open_stakes()) == ("100.00", "0.00")
    assert world.count("wager") == 1  # the refused one alone is remembered
    assert world.place(bet(1, "60.00")) == OK


def test_1_bets_of_a_request_see_each_other(world: World) -> None:
    assert world.place(bet(1, "60.00"), bet(2, "40.00")) == OK
    assert world.place(bet(3, "0.01")) == error(402, "insufficient_funds")


def test_1_checks_come_in_their_order(world: World) -> None:
    """A customer against whom everything stands, freed of one thing after the other."""
    past = datetime.now(UTC) - timedelta(days=1)
    wrongs: dict[str, Any] = {
        "active": False,
        "locked": True,
        "expires_at": past,
        "roles": ["customer"],
        "max_stake_per_event": 100,
    }
    world.change_customer(**wrongs)
    number = 100
    rights: list[tuple[str, dict[str, Any]]] = [
        ("customer_inactive", {"active": True}),
        ("customer_locked", {"locked": False}),
        ("customer_expired", {"expires_at": None}),
        ("betting_not_permitted", {"roles": ["bet_placer", "customer"]}),
    ]
    for code, mended in rights:
        assert world.place(bet(number, "500.00", currency="USD")) == error(402, code)
        world.change_customer(**mended)
        number += 1
    assert world.place(bet(number, "500.00", currency="USD")) == error(402, "currency_not_supported")
    assert world.place(bet(number + 1, "500.00")) == error(402, "event_stake_exceeded")
    world.change_customer(max_stake_per_event=None)
    assert world.place(bet(number + 2, "500.00")) == error(402, "insufficient_funds")


def test_3_a_bet_that_was_cancelled_before_it_came_stays_refused_beside_another_users(world: World) -> None:
    world.customer("8")
    assert world.cancel(refund(1, user="8")) == OK
    assert world.place(bet(1, user=8)) == error(402, "bet_cancelled")
    assert world.place(bet(1)) == OK
    assert world.place(bet(1, user=8)) == error(402, "bet_cancelled")
    assert world.place(bet(1)) == OK


def test_1_stake_per_event_counts_all_stakes_on_the_coupon(world: World) -> None:
    world.change_customer(max_stake_per_event=20_00)
    assert world.place(bet(1, "15.00", pool=501), bet(2, "15.00", pool=502)) == OK
    assert world.place(bet(3, "5.01", pool=501)) == error(402, "event_stake_exceeded")
    assert world.place(bet(4, "5.00", pool=501)) == OK
    world.settle(result(1, "0", stake="15.00"))
    assert world.place(bet(5, "0.01", pool=501)) == error(402, "event_stake_exceeded")


def test_1_stake_per_event_ends_at_the_limit_in_a_currency_of_three_decimals(world: World) -> None:
    world.customer("8", currency="KWD", stake_limit="25.000")
    assert world.place(bet(1, "25.000", user=8, currency="KWD")) == OK
    assert world.settle(result(1, "0", user="8", currency="KWD", stake="25.000")) == OK
    assert world.place(bet(2, "25.000", user=8, currency="KWD")) == error(402, "event_stake_exceeded")


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "voided"])
def test_1_a_returned_stake_frees_its_room_on_the_event(world: World, is_cancelled: bool) -> None:
    world.change_customer(max_stake_per_event=20_00)
    assert world.place(bet(1, "20.00")) == OK
    returned = world.cancel(refund(1)) if is_cancelled else world.settle(result(1, "20.00", outcome="void", stake="20"))
    assert returned == OK
    assert world.place(bet(2, "20.00")) == OK


def test_1_a_void_that_is_corrected_takes_its_room_on_the_event_again(world: World) -> None:
    world.change_customer(max_stake_per_event=20_00)
    world.place(bet(1, "20.00"))
    world.settle(result(1, "20.00", outcome="void", stake="20.00"))
    assert world.settle(result(1, "0", outcome="lost", stake="20.00")) == OK
    assert world.place(bet(2, "0.01")) == error(402, "event_stake_exceeded")


def test_1_zero_stake_is_taken_even_from_an_empty_wallet(world: World) -> None:
    world.customer("8", balance="0")
    assert world.place(bet(user=8, amount="0")) == OK
    assert world.settle(result(user="8", payout="3.00")) == OK
    assert world.balance("8") == "3.00"


def test_1_credit_is_spent_to_the_cent(world: World) -> None:
    world.customer("8", balance="10.00", credit_limit="25.00")
    assert world.place(bet(1, "35.00", user=8)) == OK
    assert world.balance("8") == "-25.00"
    assert world.place(bet(2, "0.01", user=8)) == error(402, "credit_limit_exceeded")


def test_1_credit_limit_of_1e18_is_held_exactly(world: World) -> None:
    world.customer("8", credit_limit="1000000000000000000")
    assert world.place(bet(1, "1000000000000.00", user=8)) == OK
    assert world.balance("8") == "-999999999900.00"


def test_2_debited_once(world: World) -> None:
    for _ in range(3):
        assert world.place(bet()) == OK
    assert world.balance() == "90.00"
    assert len(world.wager()["transactions"]) == 1


def test_2_same_bet_twice_in_one_request_is_one_bet(world: World) -> None:
    assert world.place(bet(), bet()) == OK
    assert world.balance() == "90.00"


def test_2_a_bet_that_was_cancelled_holds_no_stake_and_is_refused(world: World) -> None:
    world.place(bet())
    world.cancel(refund())
    for _ in range(2):
        assert world.place(bet()) == error(402, "bet_cancelled")
    assert world.place(bet(amount="11.00")) == error(409, "conflict")
    assert world.place(bet(10), bet()) == refused("bet_cancelled", "9")
    assert world.balance() == "100.00"


def test_2_a_bet_that_was_settled_is_answered_as_the_first_time(world: World) -> None:
    world.place(bet())
    for payout, outcome in (("25.00", "won"), ("10.00", "void")):
        world.settle(result(payout=payout, outcome=outcome))
        assert world.place(bet()) == OK


def test_3_a_refusal_sticks(world: World) -> None:
    assert world.place(bet(amount="150.00")) == error(402, "insufficient_funds")
    world.deposit("100.00")
    assert world.place(bet(amount="150.00")) == error(402, "insufficient_funds")
    assert world.place(bet(amount="150")) == error(402, "insufficient_funds")
    assert world.place(bet(10, amount="150.00")) == OK


def test_3_refusal_of_an_unknown_customer_sticks(world: World) -> None:
    assert world.place(bet(user=8)) == error(402, "customer_unknown")
    world.customer("8")
    assert world.place(bet(user=8)) == error(402, "customer_unknown")


@pytest.mark.parametrize(
    "other",
    [bet(user=8), bet(amount="10.01"), bet(currency="USD"), bet(pool=502), bet(user=8, amount="1")],
    ids=["user", "amount", "currency", "pool", "several"],
)
@pytest.mark.parametrize("first_amount", ["10.00", "1000.00"], ids=["taken", "refused"])
def test_4_other_facts_are_a_conflict(world: World, other: dict[str, object], first_amount: str) -> None:
    world.customer("8")
    world.place(bet(amount=first_amount))
    before = (world.balance(), world.balance("8"))
    assert world.place(other) == error(409, "conflict")
    assert (world.balance(), world.balance("8")) == before


def test_4_the_same_amount_written_otherwise_is_the_same(world: World) -> None:
    assert world.place(bet(amount="10.0")) == OK
    assert world.place(bet(amount="10")) == OK
    assert world.place(bet(uid="9", amount=10)) == OK
    assert world.balance() == "90.00"


def test_4_a_request_may_mix_known_and_new(world: World) -> None:
    world.place(bet(1))
    assert world.place(bet(1), bet(2)) == OK
    assert world.balance() == "80.00"
    assert world.place(bet(3), bet(1, "11.00")) == error(409, "conflict")
    assert world.balance() == "80.00"


def test_4_ids_are_unique_within_game_and_brand_only(world: World) -> None:
    world.brand("other", id_=1008)
    world.provider("other")
    world.provider(game="lotto")
    world.customer("7", client="other")
    assert world.place(bet(), bet(client="other"), bet(game="lotto")) == OK
    assert (world.balance(), world.balance(client="other")) == ("80.00", "90.00")


def test_5_cancel_returns_the_recorded_stake_once(world: World) -> None:
    world.place(bet())
    assert world.cancel(refund(amount="99.00")) == OK
    assert world.cancel(refund()) == OK
    assert (world.balance(), world.open_stakes()) == ("100.00", "0.00")
    assert world.wager()["status"] == "cancelled"


def test_5_an_early_cancel_is_stored(world: World) -> None:
    assert world.cancel(refund()) == OK
    assert world.place(bet()) == error(402, "bet_cancelled")
    assert world.place(bet()) == error(402, "bet_cancelled")
    assert world.balance() == "100.00"
    assert world.settle(result()) == failed(409, "conflict")


def test_5_an_early_cancel_is_the_users_own(world: World) -> None:
    world.customer("8")
    assert world.cancel(refund(user="8")) == OK
    assert world.wager()["status"] == "cancelled"
    assert world.settle(result()) == failed(404, "unknown_bet")
    assert world.place(bet()) == OK
    assert world.cancel(refund(user="8")) == OK, "it was done before"
    world.customer("9")
    assert world.cancel(refund(user="9")) == failed(409, "conflict")
    assert world.place(bet(user=8)) == error(402, "bet_cancelled")
    assert world.place(bet(user=9)) == error(409, "conflict")
    assert (world.balance(), world.balance("8")) == ("90.00", "100.00")


def test_5_each_users_early_cancel_is_kept(world: World) -> None:
    world.customer("8")
    for user in ("8", "7", "8"):
        assert world.cancel(refund(user=user)) == OK
    for uid in (7, 8):
        assert world.place(bet(user=uid)) == error(402, "bet_cancelled")
    assert world.count("wager") == 0


@pytest.mark.parametrize("whose", [{"client": "nobody"}, {"game": "nothing"}], ids=str)
def test_5_a_cancel_for_a_brand_or_game_that_does_not_exist_is_refused(world: World, whose: dict[str, str]) -> None:
    assert world.cancel(refund(**whose)) == error(403, "forbidden")
    assert world.count("early_cancel") == 0
    client, game = whose.get("client", "acme"), whose.get("game", "betflex")
    if client != "acme":
        world.brand(client, id_=2)
        world.customer(client=client)
    world.provider(client, game=game)
    assert world.place(bet(client=client, game=game)) == OK


def test_5_cancel_after_settlement_moves_nothing(world: World) -> None:
    world.place(bet())
    world.settle(result())
    assert world.cancel(refund()) == failed(409, "bet_already_settled")
    assert world.balance() == "115.00"


def test_5_cancel_of_a_refused_bet_moves_nothing(world: World) -> None:
    world.place(bet(amount="1000.00"))
    assert world.cancel(refund()) == OK
    assert world.balance() == "100.00"
    assert world.wager()["status"] == "refused"


def test_5_cancel_by_another_user_is_a_conflict(world: World) -> None:
    world.customer("8")
    world.place(bet())
    assert world.cancel(refund(user="8")) == failed(409, "conflict")
    assert (world.balance(), world.balance("8")) == ("90.00", "100.00")


@pytest.mark.parametrize("again", ["1.0", "01", 1, 1.0])
def test_3_a_bet_refused_for_its_currency_is_the_same_with_other_zeros(world: World, again: Any) -> None:
    assert world.place(bet(1, "1", currency="QQQ")) == error(402, "currency_not_supported")
    assert world.place(bet(1, again, currency="QQQ")) == error(402, "currency_not_supported")
    assert world.place(bet(1, "10", currency="QQQ")) == error(409, "conflict")


def test_3_a_refusal_that_an_earlier_release_stored_is_the_same(world: World) -> None:
    assert world.place(bet(1, "1.0", currency="QQQ")) == error(402, "currency_not_supported")
    stored = fingerprint("7", "1.0", "QQQ", "501")
    with writing(world.engine) as session:
        session.execute(text("UPDATE wager SET fingerprint = :stored"), {"stored": stored})
    assert world.place(bet(1, "1.0", currency="QQQ")) == error(402, "currency_not_supported")
    assert world.place(bet(1, "2.0", currency="QQQ")) == error(409, "conflict")
