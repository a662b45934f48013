"""What a betslip does to its bets; the catalogue of fixtures has each refusal and its boundary."""

import itertools
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.desk import Desk
from tests.world import OK, JsonReply, World, bet, error
from wallet_hooks.betslips.bounds import BetslipFacts, bounds_of_prices, merged_bounds, price_refusal

SLIP = "slip"


def send(world: World, *messages: Any) -> None:
    assert world.repeat("/betslips/messages", list(messages)) == OK


def pmm(least: str = "5.00", most: str = "20.00", *, username: str = "u", currency: str = "EUR", **status: str) -> Any:
    offer = {"price": 2, "min": [currency, float(least)], "max": [currency, float(most)]}
    body = {"betslip_id": SLIP, "bookie": "b", "username": username, "price_list": [{"effective": offer}]}
    return ["pmm", body | {"status": status or {"code": "success"}}]


def entry(low: int, high: int) -> dict[str, Any]:
    return {"effective": {"price": "2", "min": ["JPY", str(low)], "max": ["JPY", str(high)]}}


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3), max_size=3), st.integers(0, 99))
def test_a_stake_is_taken_between_the_smallest_minimum_and_the_sum_of_maximums(
    accounts: list[list[tuple[int, int]]], stake: int
) -> None:
    bounds = merged_bounds(bounds_of_prices([entry(*one) for one in entries]) for entries in accounts)
    refusal = price_refusal(BetslipFacts(1, "g", SLIP, True, bounds), stake, "JPY", {})
    offers = [one for entries in accounts for one in entries]
    if not offers:
        assert refusal == "betslip_without_prices"
    elif stake < min(low for low, _ in offers):
        assert refusal == "stake_below_minimum"
    else:
        assert refusal == ("stake_above_maximum" if stake > sum(high for _, high in offers) else None)


def test_new_prices_bind_the_next_bet(world: World) -> None:
    send(world, pmm())
    assert world.place(bet(SLIP, "20.01")) == error(402, "stake_above_maximum")
    send(world, pmm(most="30.00"))
    extra = bet("b2", "30.00")
    extra["bet"]["extra"] = {"betslip_id": SLIP}
    assert world.place(extra) == OK
    send(world, pmm(code="failed", reason="timeout"))
    extra["bet"]["uid"] = "b3"
    assert world.place(extra) == error(402, "betslip_without_prices")


@pytest.mark.parametrize(
    "sent",
    [
        {"status": {"code": "failed", "reason": "x"}, "price_list": None},
        {"status": {"code": "failed", "reason": {"type": "http", "details": "502"}}},
        {"status": {"code": "failed", "reason": "x" * 5000}},
        {"status": {"code": "blacklist", "reason": None}, "sport": None, "event_id": None, "bet_type": None},
    ],
    ids=str,
)
def test_prices_end_with_every_form_of_a_failed_status(world: World, sent: dict[str, Any]) -> None:
    send(world, pmm())
    name, body = pmm()
    send(world, [name, body | sent])
    assert world.place(bet(SLIP, "10.00")) == error(402, "betslip_without_prices")


def test_a_missing_rate_raises_an_exception(world: World) -> None:
    send(world, pmm(currency="GBP"))
    assert world.place(bet(SLIP, "1.00")) == OK
    assert [one["kind"] for one in world.exceptions()] == ["betslip_without_rate"]


def test_what_extra_cannot_name_refuses_nothing(world: World) -> None:
    send(world, ["betslip_closed", {"betslip_id": SLIP}])
    named: list[Any] = [{"betslip_id": 1.5}, {"betslip_id": []}, [], "x", None, {"betslip_id": "other"}]
    for number, extra in enumerate(named):
        item = bet(f"b{number}", "1.00")
        item["bet"]["extra"] = extra
        assert world.place(item) == OK


def test_a_betslip_binds_every_game_of_the_credentials(desk: Desk) -> None:
    desk.world.provider(game="other", auth="none")
    send(desk.world, ["betslip_closed", {"betslip_id": SLIP}])
    assert desk.world.place(bet(SLIP, "1.00", game="other")) == error(402, "betslip_closed")


def test_a_betslip_that_closes_beside_its_bets_ends_consistently(world: World) -> None:
    world.deposit("900.00")
    send(world, pmm(most="1000.00"))
    closing = threading.Thread(target=lambda: send(world, ["betslip_closed", {"betslip_id": SLIP}]))
    statuses = []
    for number in range(30):
        if number == 10:
            closing.start()
        if number == 20:
            closing.join()
        item = bet(f"b{number}", "5.00")
        item["bet"]["extra"] = {"betslip_id": SLIP}
        statuses.append(world.place(item).status)
    taken = statuses.count(200)
    assert 10 <= taken <= 20
    assert statuses == [200] * taken + [402] * (30 - taken)  # refused once it is closed, and never taken again


def test_prices_that_are_replaced_beside_a_hundred_bets_are_replaced_at_once(world: World) -> None:
    """The two accounts' maximums change places; a bet that saw one of them before and the other after sees 40 or 60."""
    world.deposit("9000.00")
    lists = [
        [pmm(most="20.00", username="a"), pmm(most="30.00", username="b")],
        [pmm(most="30.00", username="a"), pmm(most="20.00", username="b")],
    ]
    send(world, *lists[0])
    are_placed = threading.Event()

    def replace_prices() -> None:
        for turn in itertools.count(1):
            send(world, *lists[turn % 2])
            if are_placed.is_set():
                break

    def place_bets(first: int, outcomes: list[JsonReply]) -> None:
        for number in range(first, first + 25):
            item = bet(f"b{number}", "45.00" if number % 2 else "55.00")
            item["bet"]["extra"] = {"betslip_id": SLIP}
            outcomes.append(world.repeat("/bets", {"bets": [item]}))

    replacing = threading.Thread(target=replace_prices)
    replacing.start()
    outcomes: list[list[JsonReply]] = [[] for _ in range(4)]
    placing = [threading.Thread(target=place_bets, args=(25 * n, found)) for n, found in enumerate(outcomes)]
    for thread in placing:
        thread.start()
    for thread in placing:
        thread.join()
    are_placed.set()
    replacing.join()
    for number, reply in enumerate(itertools.chain(*outcomes)):
        assert reply == (OK if number % 2 else error(402, "stake_above_maximum")), number
