"""The accounting summary against an independent reckoning of the same bets."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from itertools import count
from typing import Any

from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.desk import Desk
from tests.world import OK, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.ledger.rates import set_rate

_weeks = count()
days = st.integers(0, 3)
payouts = st.integers(0, 3000)
ends = st.none() | st.tuples(days, payouts | st.sampled_from(["cancel", "void"]), st.none() | st.tuples(days, payouts))
wagers = st.lists(st.tuples(days, st.integers(1, 900), st.sampled_from(["EUR", "GBP"]), ends), max_size=8)
RATE = Decimal("1.1701")


def shown(desk: Desk) -> dict[str, Any]:
    rows = desk.ok("ann", "GET", "/v1/customers/ann/accounting_info/")
    assert len({row["key"] for row in rows}) == len(rows), "each key once"
    assert {row["unit"] for row in rows} == {"EUR", "%"}, "in the customer's currency"
    return {row["key"]: row["value"] for row in rows}


def at_home(cents: int, currency: str, rounding: str) -> int:
    return cents if currency == "EUR" else int((cents * RATE).to_integral_value(rounding))


@settings(max_examples=8)
@given(story=wagers, deposits=st.lists(st.tuples(days, st.integers(1, 500)), max_size=2))
def test_profit_and_loss_of_bets(desk: Desk, story: Any, deposits: Any) -> None:
    """Placed on one day (cents staked), settled or cancelled on the same day or a later one, and settled again."""
    week = next(_weeks)  # examples share a database, so each has days of its own
    first = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(weeks=week)
    desk.world.deposit("1000.00", reference=f"{week}")
    with writing(desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate=str(RATE), now=first)
    before = shown(desk)
    results = dict.fromkeys(range(4), 0)
    open_stakes = moved = 0
    for day in range(4):
        with freeze_time(first + timedelta(days=day)):
            for number, (placed, stake, currency, end) in enumerate(story):
                uid, cost = f"{week}-{number}", at_home(stake, currency, ROUND_CEILING)
                if placed == day:
                    assert desk.world.place(bet(uid, f"{stake / 100:.2f}", currency=currency)) == OK
                    open_stakes += cost
                if end is None:
                    continue
                closed = max(end[0], placed)
                if closed == day:
                    finish(desk, uid, end[1], stake, currency)
                    open_stakes -= cost
                    results[day] += result_of(end[1], cost, currency)
                if end[2] is not None and end[1] != "cancel" and max(end[2][0], closed) == day:
                    finish(desk, uid, end[2][1], stake, currency)
                    results[day] += result_of(end[2][1], cost, currency) - result_of(end[1], cost, currency)
            for number, (_, cents) in enumerate(one for one in deposits if one[0] == day):
                desk.world.deposit(f"{cents / 100:.2f}", reference=f"{week}-{day}-{number}")
                moved += cents
            after = shown(desk)
        assert after["today_pl"] * 100 == results[day]
        assert after["yesterday_pl"] * 100 == results.get(day - 1, 0)
    assert (after["open_stakes"] - before["open_stakes"]) * 100 == open_stakes
    total = sum(results.values()) - open_stakes + moved
    assert (after["current_balance"] - before["current_balance"]) * 100 == total
    assert desk.world.differences() == []


def result_of(end: Any, cost: int, currency: str) -> int:
    """What an end comes to in cents: nothing where the stake goes back."""
    return 0 if end in ("cancel", "void") else at_home(end, currency, ROUND_HALF_EVEN) - cost


def finish(desk: Desk, uid: str, end: Any, stake: int, currency: str) -> None:
    if end == "cancel":
        reply = desk.world.cancel(refund(uid))
    elif end == "void":
        reply = desk.world.settle(result(uid, f"{stake / 100:.2f}", outcome="void", currency=currency))
    else:
        reply = desk.world.settle(result(uid, f"{end / 100:.2f}", outcome="x", currency=currency))
    assert reply == OK


def test_an_open_bet_in_another_currency_is_neither_won_nor_lost(desk: Desk) -> None:
    with writing(desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.17", now=datetime(2025, 1, 1, tzinfo=UTC))
        set_rate(session, source="JPY", target="EUR", rate="0.0061", now=datetime(2025, 1, 1, tzinfo=UTC))
    assert desk.world.place(bet(1), bet(2, currency="GBP"), bet(3, "100", currency="JPY")) == OK
    expected = {"current_balance": Decimal("77.69"), "open_stakes": Decimal("22.31"), "today_pl": 0, "yesterday_pl": 0}
    assert {key: shown(desk)[key] for key in expected} == expected
    desk.world.settle(result(2, "0", currency="GBP", outcome="lost"))
    assert (shown(desk)["today_pl"], shown(desk)["open_stakes"]) == (Decimal("-11.70"), Decimal("10.61"))
    desk.world.settle(result(2, "20.00", currency="GBP"))
    assert shown(desk)["today_pl"] == Decimal("11.70"), "a correction takes back what it replaces"
    desk.world.cancel(refund(3))
    assert (shown(desk)["today_pl"], shown(desk)["open_stakes"]) == (Decimal("11.70"), 10)


def test_results_count_on_the_brands_day_of_settlement(desk: Desk) -> None:
    with freeze_time("2030-07-01T22:00:00Z") as moment:
        with writing(desk.world.engine) as session:
            set_rate(session, source="GBP", target="EUR", rate="1.17", now=clock.now())
        rate = {"commission_rate": {"date_from": "2020-01-01", "rate_pc": 10}}
        desk.ok("boss", "PATCH", "/v1/customers/ann/", rate)
        desk.world.place(bet(1, currency="GBP"))
        moment.move_to("2030-07-01T23:00:00Z")  # midnight in London
        desk.world.settle(result(1, "20.00", currency="GBP"))
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (Decimal("10.53"), 0), "less the commission"
        moment.move_to("2030-07-02T23:00:00Z")
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (0, Decimal("10.53"))


def test_yesterday_is_the_brands(desk: Desk) -> None:
    with freeze_time("2026-07-01T22:00:00Z") as moment:
        desk.world.place(bet(1), bet(2))
        desk.world.settle(result(1, "25.00"))
        moment.move_to("2026-07-01T23:00:00Z")  # midnight in London
        desk.world.settle(result(2, "0", outcome="lost"))
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (-10, 15)
        moment.move_to("2026-07-02T23:00:00Z")
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (0, -10)


def test_a_bet_that_a_late_clock_booked_on_the_day_before_hides_no_older_one(desk: Desk) -> None:
    with freeze_time("2026-07-01T22:00:00Z") as moment:
        desk.world.place(bet(1), bet(2))
        moment.move_to("2026-07-01T23:00:01Z")  # after midnight in London
        desk.world.settle(result(1, "25.00"))
        moment.move_to("2026-07-01T22:59:59Z")
        desk.world.settle(result(2, "0", outcome="lost"))
        moment.move_to("2026-07-02T23:00:00Z")
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (0, 15)


def test_entries_are_keyed_and_labelled_as_in_the_source(desk: Desk) -> None:
    desk.world.deposit("84924.70")
    desk.ok("boss", "PATCH", "/v1/customers/ann/", {"credit_limit": ["EUR", 1000000.0]})
    desk.ok("boss", "PATCH", "/v1/customers/ann/", {"commission_rate": {"date_from": "2020-01-01", "rate_pc": 0.25}})
    desk.world.place(bet(1, "3438.03"))
    assert [tuple(row.values()) for row in desk.ok("ann", "GET", "/v1/customers/ann/accounting_info/")] == [
        ("current_balance", "Current balance", "EUR", Decimal("81586.67")),
        ("open_stakes", "Open stakes", "EUR", Decimal("3438.03")),
        ("today_pl", "Today's P/L", "EUR", 0),
        ("yesterday_pl", "Yesterday's P/L", "EUR", 0),
        ("credit_limit", "Agent credit limit", "EUR", 1000000),
        ("commission_rate", "Current commission rate", "%", Decimal("0.25")),
    ]
