"""The twelve rules of the callbacks, each by its number. Under concurrency: test_concurrency.py."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.world import OK, World, bet, error, failed, refund, refused, result
from wallet_hooks import clock
from wallet_hooks.database import reading, writing
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.deliveries.service import prune
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.ledger.service import set_rate
from wallet_hooks.sportsbook.corrections import resettle
from wallet_hooks.sportsbook.messages import BetKey


@pytest.fixture(autouse=True)
def _the_ledger_holds(world: World) -> object:
    """Whatever a test did, the ledger's own rules hold afterwards."""
    yield
    assert world.differences() == []


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


def test_5_cancel_before_the_bet_leaves_a_tombstone(world: World) -> None:
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
    assert world.cancel(refund(user="8")) == failed(409, "conflict")
    assert world.place(bet(user=8)) == error(409, "conflict")
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


def test_6_winners_pay_once(world: World) -> None:
    world.place(bet())
    assert world.settle(result()) == OK
    assert world.settle(result(payout="25.0")) == OK
    assert world.balance() == "115.00"
    assert world.house_balance("income:stakes:acme:betflex") == -1000
    assert world.house_balance("expenses:winnings:acme:betflex") == 2500


def test_6_payout_of_0_closes_the_bet(world: World) -> None:
    world.place(bet())
    assert world.settle(result(payout="0", outcome="lost")) == OK
    assert (world.balance(), world.open_stakes(), world.wager()["status"]) == ("90.00", "0.00", "settled")


def test_6_another_payout_settles_again_by_reversal(world: World) -> None:
    world.place(bet())
    world.settle(result(payout="25.00"))
    assert world.settle(result(payout="30.00")) == OK
    assert world.balance() == "120.00"
    found = world.wager()["transactions"]
    assert [transaction["kind"] for transaction in found] == ["stake", "settlement", "reversal", "settlement"]
    assert found[2]["reverses"] == found[1]["id"]
    assert world.house_balance("expenses:winnings:acme:betflex") == 3000


def test_6_a_replaced_settlement_that_comes_again_is_superseded(world: World) -> None:
    world.place(bet())
    world.settle(result(payout="25.00"))
    world.settle(result(payout="30.00"))
    for _ in range(2):
        assert world.settle(result(payout="25.00")) == failed(409, "superseded_settlement")
    assert world.balance() == "120.00"
    (raised,) = world.exceptions()
    assert (raised["kind"], raised["bet"]) == ("superseded_settlement", "9")
    assert raised["delivery"] in [delivery["id"] for delivery in world.wager()["deliveries"]]


@pytest.mark.parametrize("outcome", ["void", "VOID", "refund", "cancelled", "Canceled", "push", "returned"])
def test_6_a_void_gives_the_stake_back_and_earns_nothing(world: World, outcome: str) -> None:
    world.place(bet())
    assert world.settle(result(payout="10.00", outcome=outcome)) == OK
    assert world.balance() == "100.00"
    assert world.house_balance("income:stakes:acme:betflex") == 0


def test_6_a_void_word_with_another_payout_is_decided_by_the_payout(world: World) -> None:
    world.place(bet())
    assert world.settle(result(payout="12.00", outcome="void")) == OK
    assert world.balance() == "102.00"
    assert world.house_balance("expenses:winnings:acme:betflex") == 1200


def test_6_a_void_after_a_win_is_settled_again(world: World) -> None:
    world.place(bet())
    world.settle(result(payout="25.00"))
    assert world.settle(result(payout="10.00", outcome="void")) == OK
    assert world.balance() == "100.00"
    assert world.house_balance("income:stakes:acme:betflex") == 0


def test_6_unknown_results_are_kept_as_they_came(world: World) -> None:
    world.place(bet())
    assert world.settle(result(outcome="halb gewonnen ½")) == OK
    assert world.wager()["result"] == "halb gewonnen ½"


def test_7_good_bets_are_paid_beside_bad_ones(world: World) -> None:
    world.place(bet(1), bet(2))
    reply = world.settle(result(1), result(404), result(2, currency="USD"))
    failures = [{"uid": "404", "error": "unknown_bet"}, {"uid": "2", "error": "conflict"}]
    assert reply == error(404, "unknown_bet", bets=failures)
    assert world.balance() == "105.00"
    assert world.settle(result(1), result(404), result(2, currency="USD")) == reply
    assert world.balance() == "105.00"


def test_7_cancels_go_bet_by_bet(world: World) -> None:
    world.place(bet(1), bet(2))
    world.settle(result(1))
    assert world.cancel(refund(1), refund(2)) == failed(409, "bet_already_settled", ["1"])
    assert world.wager(2)["status"] == "cancelled"


@pytest.mark.parametrize("wrong", [{"user": "8"}, {"currency": "USD"}, {"currency": "QQQ"}], ids=str)
def test_8_wrong_user_or_currency_is_a_conflict(world: World, wrong: dict[str, str]) -> None:
    world.customer("8")
    world.place(bet())
    assert world.settle(result(**wrong)) == failed(409, "conflict")
    assert (world.balance(), world.balance("8")) == ("90.00", "100.00")


def test_8_settlement_of_a_refused_or_cancelled_bet_is_a_conflict(world: World) -> None:
    world.place(bet(1, "1000.00"))
    world.place(bet(2))
    world.cancel(refund(2))
    world.cancel(refund(3))
    for _ in range(2):
        settled = world.settle(result(1, stake="1000"), result(2), result(3, "0", outcome="lost"))
        assert settled == failed(409, "conflict", ["1", "2", "3"])
    assert world.balance() == "100.00"
    assert [(raised["kind"], raised["bet"]) for raised in world.exceptions()] == [
        ("settlement_of_refused_bet", "1"),
        ("settlement_of_cancelled_bet", "2"),
        ("settlement_of_cancelled_bet", "3"),
    ]


@pytest.mark.parametrize(
    ("settled", "balance", "subject"),
    [
        (result(payout="0", outcome="void"), "90.00", "result:void:0"),
        (result(payout="12.00", outcome="refund"), "102.00", "result:refund:1200"),
        (result(payout="5.00", outcome="Lost"), "95.00", "result:lost:500"),
        (result(stake="10.01"), "115.00", "stake:1001"),
        (result(pool=502), "115.00", "coupon:502"),
    ],
    ids=["void-0", "void-more", "loss", "stake", "coupon"],
)
def test_8_a_settlement_that_contradicts_itself_is_paid_and_raised_once(
    world: World, settled: dict[str, Any], balance: str, subject: str
) -> None:
    world.place(bet())
    for _ in range(2):
        assert world.settle(settled) == OK
    assert world.balance() == balance
    assert [(raised["kind"], raised["subject"]) for raised in world.exceptions()] == [
        ("contradictory_settlement", subject)
    ]


@pytest.mark.parametrize("stake", [None, "", "n/a", -1, {"no": "amount"}, "10.000", "10"], ids=str)
def test_8_a_stake_that_cannot_be_read_or_is_the_same_contradicts_nothing(world: World, stake: Any) -> None:
    world.place(bet())
    assert world.settle(result(stake=stake, outcome="half lost", payout="5.00")) == OK
    assert world.exceptions() == []


@pytest.mark.parametrize("together", [True, False], ids=["one pool", "two pools"])
def test_8_two_payouts_for_one_bet_in_one_request_are_invalid(world: World, together: bool) -> None:
    world.place(bet())
    pools = [result(payout="25.00"), result(payout="30.00")]
    if together:
        pools = [{"pool": pools[0]["pool"], "bets": [*pools[0]["bets"], *pools[1]["bets"]]}]
    reply = world.settle(*pools)
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")
    assert world.balance() == "90.00"
    assert world.settle(result(payout="25.00"), result(payout="25.0")) == OK


def test_8_payout_above_overdraw_is_paid_and_flagged(world: World) -> None:
    world.place(bet(1, overdraw="20.00"), bet(2, overdraw="25.00"))
    assert world.settle(result(1, "25.00"), result(2, "25.00")) == OK
    assert world.balance() == "130.00"
    assert [(raised["kind"], raised["bet"]) for raised in world.exceptions()] == [("payout_above_overdraw", "1")]


@pytest.mark.parametrize("standing", [{"active": False}, {"locked": True}, {"roles": "customer"}], ids=str)
def test_9_winnings_and_refunds_reach_blocked_customers(world: World, standing: dict[str, Any]) -> None:
    world.place(bet(1), bet(2))
    world.change_customer(**standing, expires_at=datetime.now(UTC) - timedelta(days=1))
    assert world.settle(result(1)) == OK
    assert world.cancel(refund(2)) == OK
    assert world.balance() == "115.00"


def test_9_a_correction_beyond_the_balance_leaves_a_debt(world: World) -> None:
    world.place(bet(1, "100.00"))
    world.settle(result(1, "500.00", stake="100.00"))
    world.place(bet(2, "450.00"))
    assert world.settle(result(1, "0", stake="100.00")) == OK
    assert world.balance() == "-450.00"
    assert [raised["kind"] for raised in world.exceptions()] == ["debt_after_correction"]
    assert world.place(bet(3, "0.01")) == error(402, "insufficient_funds")


def test_9_a_correction_beyond_the_balance_is_refused_by_policy(world: World) -> None:
    world.brand("strict", id_=1008, corrections="refuse")
    world.provider("strict")
    world.customer(client="strict")
    world.place(bet(1, "100.00", client="strict"))
    world.settle(result(1, "500.00", client="strict"))
    world.place(bet(2, "450.00", client="strict"))
    assert world.settle(result(1, "0", client="strict")) == failed(402, "insufficient_funds", ["1"])
    assert world.balance(client="strict") == "50.00"
    assert world.settle(result(1, "450.00", client="strict")) == OK
    assert world.balance(client="strict") == "0.00"


def test_10_every_callback_is_stored_as_it_came(world: World) -> None:
    bodies = [b'{"bets": [ ] }', b"\x00\xff not json", b'{"bets":[{"unknown":"kept"}]}']
    for body in bodies:
        world.post("/bets", body)
    with reading(world.engine) as session:
        stored = session.query(Delivery).order_by(Delivery.id).all()
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


def test_10_deliveries_are_forgotten_when_their_time_is_over(world: World) -> None:
    world.place(bet())
    later = clock.now() + timedelta(days=31)
    with writing(world.engine) as session:
        assert prune(session, now=later - timedelta(days=2), retention_days=30, at_most=10) == 0
        assert prune(session, now=later, retention_days=30, at_most=10) == 1
    assert (world.count("delivery"), world.count("delivery_bet"), world.count("wager")) == (0, 0, 1)


def test_11_an_unknown_bet_raises_one_exception_however_often(world: World) -> None:
    for _ in range(3):
        assert world.settle(result(404)) == failed(404, "unknown_bet", ["404"])
    assert [(raised["kind"], raised["bet"]) for raised in world.exceptions()] == [("unknown_bet", "404")]


def test_11_an_unknown_bet_that_comes_and_is_settled_needs_nobody_any_more(world: World) -> None:
    for uid in (1, 2):
        world.settle(result(uid))
    world.place(bet(1), bet(2))
    assert [raised["resolved_at"] for raised in world.exceptions()] == [None, None]
    assert world.settle(result(1)) == OK
    first, second = world.exceptions()
    assert (first["bet"], first["reason"]) == ("1", "the bet came and was settled")
    assert first["resolved_at"] is not None
    assert second["resolved_at"] is None


def test_11_a_person_settles_again_what_was_superseded(world: World) -> None:
    world.place(bet())
    world.settle(result(payout="25.00"))
    world.settle(result(payout="30.00"))
    brands = read_directory(world.engine).brands
    with writing(world.engine) as session:
        key = BetKey("betflex", "acme", "9")
        resettle(
            session.connection(), key, payout=2500, result="won", reason="ticket 12", brands=brands, now=clock.now()
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


@pytest.fixture
def abroad(world: World) -> World:
    """Customer 8 keeps GBP; one EUR is 0.855 GBP."""
    world.customer("8", currency="GBP")
    with writing(world.engine) as session:
        set_rate(session, source="EUR", target="GBP", rate="0.855", now=clock.now())
    return world


def test_a_bet_in_another_currency_is_taken_at_the_stored_rate(abroad: World) -> None:
    assert abroad.place(bet(user=8)) == OK
    assert abroad.balance("8") == "91.45"
    found = abroad.wager()
    assert (found["stake"], found["cost"], found["home_currency"], found["rate"]) == ("10.00", "8.55", "GBP", "0.855")


def test_a_payout_abroad_keeps_the_rate_of_its_stake(abroad: World) -> None:
    abroad.place(bet(user=8))
    with writing(abroad.engine) as session:
        set_rate(session, source="EUR", target="GBP", rate="0.5", now=clock.now() + timedelta(seconds=1))
    assert abroad.settle(result(user="8", payout="20.00")) == OK
    assert abroad.balance("8") == "108.55"
    assert abroad.settle(result(user="8", payout="0")) == OK
    assert abroad.balance("8") == "91.45"


def test_a_cancel_abroad_returns_the_very_cost(abroad: World) -> None:
    abroad.place(bet(user=8, amount="0.03"))
    assert abroad.balance("8") == "99.97"
    assert abroad.cancel(refund(user="8")) == OK
    assert abroad.balance("8") == "100.00"
    assert abroad.house_balance("equity:conversion") == 0
