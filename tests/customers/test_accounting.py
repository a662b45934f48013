"""The accounting summary against an independent reckoning of the same bets."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.desk import Desk
from tests.world import bet, refund, result

_weeks = count()
days = st.integers(0, 3)
wagers = st.lists(
    st.tuples(days, st.integers(1, 900), st.none() | st.tuples(days, st.integers(0, 3000) | st.just("cancel"))),
    max_size=8,
)


def shown(desk: Desk) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in desk.ok("ann", "GET", "/v1/customers/ann/accounting_info/")}


@settings(max_examples=8)
@given(story=wagers, deposits=st.lists(st.tuples(days, st.integers(1, 500)), max_size=2))
def test_it_says_what_the_bets_came_to(desk: Desk, story: Any, deposits: Any) -> None:
    """Placed on one day (cents staked), settled or cancelled on the same day or a later one."""
    week = next(_weeks)  # examples share a database, so each has days of its own
    first = datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(weeks=week)
    before = shown(desk)
    results = dict.fromkeys(range(4), 0)
    open_stakes = moved = 0
    for day in range(4):
        with freeze_time(first + timedelta(days=day)):
            for number, (placed, stake, end) in enumerate(story):
                if placed == day:
                    desk.world.place(bet(f"{week}-{number}", f"{stake / 100:.2f}"))
                    open_stakes += stake
                if end is not None and max(end[0], placed) == day:
                    finish(desk, f"{week}-{number}", end[1])
                    open_stakes -= stake
                    results[day] += 0 if end[1] == "cancel" else end[1] - stake
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


def finish(desk: Desk, uid: str, end: Any) -> None:
    if end == "cancel":
        desk.world.cancel(refund(uid))
    else:
        desk.world.settle(result(uid, f"{end / 100:.2f}", outcome="x"))


def test_yesterday_is_the_brands(desk: Desk) -> None:
    with freeze_time("2026-07-01T22:00:00Z") as moment:
        desk.world.place(bet(1), bet(2))
        desk.world.settle(result(1, "25.00"))
        moment.move_to("2026-07-01T23:00:00Z")  # midnight in London
        desk.world.settle(result(2, "0", outcome="lost"))
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (-10, 15)
        moment.move_to("2026-07-02T23:00:00Z")
        assert (shown(desk)["today_pl"], shown(desk)["yesterday_pl"]) == (0, -10)


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
