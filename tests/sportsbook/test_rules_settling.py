"""Rules 6 to 9 of the callbacks: settlements, corrections and contradictions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.groups import statuses_of_group
from tests.world import OK, World, bet, error, failed, refund, result

pytestmark = pytest.mark.usefixtures("ledger_invariants")


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


def test_6_a_settlement_that_came_before_its_bet_is_older_than_those_after_it(world: World) -> None:
    """A provider sends what was refused again, perhaps after a correction."""
    assert world.settle(result(payout="0")) == failed(404, "unknown_bet")
    assert world.place(bet()) == OK
    assert world.settle(result(payout="20.00")) == OK
    for _ in range(2):
        assert world.settle(result(payout="0")) == failed(409, "superseded_settlement")
    assert world.balance() == "110.00"
    assert [one["kind"] for one in world.exceptions() if one["resolved_at"] is None] == ["superseded_settlement"]
    assert world.settle(result(payout="25.00")) == OK, "a correction"
    assert world.settle(result(payout="0")) == failed(409, "superseded_settlement")
    assert world.balance() == "115.00"


@pytest.mark.parametrize("second", [{"payout": "10.00", "outcome": "void"}, {"payout": "20.00"}])
def test_6_settlements_that_came_before_their_bet_replace_each_other_in_their_order(
    world: World, second: dict[str, str]
) -> None:
    with freeze_time("2026-11-20T12:00:00Z") as moment:
        assert world.settle(result(payout="0")) == failed(404, "unknown_bet")
        moment.tick()
        assert world.settle(result(**second)) == failed(404, "unknown_bet")
    assert world.place(bet()) == OK
    assert world.settle(result(payout="0")) == OK
    assert world.settle(result(**second)) == OK
    assert world.settle(result(payout="0")) == failed(409, "superseded_settlement")
    assert world.balance() == ("100.00" if second["payout"] == "10.00" else "110.00")


@pytest.mark.parametrize("is_known", [True, False])
def test_6_a_late_copy_in_one_group_with_the_settlement_is_superseded(world: World, is_known: bool) -> None:
    """Of settlements that were refused before or, without `is_known`, by the group itself."""
    late = result(payout="0")
    if is_known:
        assert world.settle(late) == failed(404, "unknown_bet")
        assert world.place(bet()) == OK
        sent = [("/winners", result(payout="20.00")), ("/winners", late)]
    else:
        sent = [("/winners", late), ("/bets", bet()), ("/winners", result(payout="20.00")), ("/winners", late)]
    assert statuses_of_group(world, *sent)[-2:] == [200, 409]
    assert world.balance() == "110.00"


def test_6_settlements_of_one_group_that_came_before_their_bet_keep_their_order(world: World) -> None:
    first, second = result(payout="0"), result(payout="20.00")
    assert statuses_of_group(world, ("/winners", first), ("/winners", second)) == [404, 404]
    assert world.place(bet()) == OK
    assert world.settle(second) == OK
    assert world.settle(first) == failed(409, "superseded_settlement")
    assert world.balance() == "110.00"


@pytest.mark.parametrize("other", [{"user": 8}, {"currency": "JPY", "payout": "2500"}])
def test_6_a_settlement_of_another_user_or_currency_that_came_before_the_bet_is_none_of_it(
    world: World, other: dict[str, Any]
) -> None:
    """Its payout has as many minor units as the right one."""
    assert world.settle(result(**{"payout": "25.00", **other})) == failed(404, "unknown_bet")
    assert world.place(bet()) == OK
    assert world.settle(result(payout="0")) == OK
    assert world.settle(result(payout="25.00")) == OK
    assert world.balance() == "115.00"


def test_a_settlement_for_an_unknown_brand_is_not_kept(world: World) -> None:
    assert world.settle(result(client="nobody")) == failed(404, "unknown_bet")
    assert world.count("early_settlement") == 0


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
        (result(payout="0", outcome="void"), "90.00", "result:void:0.00"),
        (result(payout="12.00", outcome="refund"), "102.00", "result:refund:12.00"),
        (result(payout="5.00", outcome="Lost"), "95.00", "result:lost:5.00"),
        (result(stake="10.01"), "115.00", "stake:10.01"),
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


@pytest.mark.parametrize("outcome", ["won\n", "w" * 201])
def test_8_an_unusual_result_is_settled_by_its_payout(world: World, outcome: str) -> None:
    world.place(bet())
    assert world.settle(result(outcome=outcome)) == OK
    assert world.balance() == "115.00"


@pytest.mark.parametrize("outcome", [5, {}, ["void"]])
def test_8_a_result_that_is_no_text_is_400(world: World, outcome: Any) -> None:
    world.place(bet())
    assert world.settle(result(outcome=outcome)).status == 400
    assert world.balance() == "90.00"
