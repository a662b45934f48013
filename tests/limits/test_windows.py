"""Windows of limits across clock changes and months of every length."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy
from wallet_hooks.limits.windows import window_at

ZONES = ("Europe/London", "America/Santiago", "Asia/Tokyo")
ANNIVERSARY = Policy(window="anniversary")


def brand(zone: str, *, day_start: timedelta = timedelta(0)) -> BrandFacts:
    return BrandFacts(1, "acme", "EUR", ZoneInfo(zone), day_start, "debt")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "frame", "now", "start", "end"),
    [
        # London's clocks go forward on 29 March 2026 and back on 25 October.
        ("Europe/London", "day", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-29T23:00"),
        ("Europe/London", "day", "2026-10-25T12:00", "2026-10-24T23:00", "2026-10-26T00:00"),
        ("Europe/London", "week", "2026-03-29T12:00", "2026-03-23T00:00", "2026-03-29T23:00"),
        ("Europe/London", "week", "2026-10-25T23:59", "2026-10-18T23:00", "2026-10-26T00:00"),
        ("Europe/London", "month", "2026-03-31T22:59", "2026-03-01T00:00", "2026-03-31T23:00"),
        ("Europe/London", "month", "2026-03-31T23:00", "2026-03-31T23:00", "2026-04-30T23:00"),
        # In Santiago midnight of 6 September 2026 is skipped: the day begins at 01:00.
        ("America/Santiago", "day", "2026-09-06T04:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        ("America/Santiago", "day", "2026-09-06T03:59", "2026-09-05T04:00", "2026-09-06T04:00"),
        # The last hour of 4 April occurs twice.
        ("America/Santiago", "day", "2026-04-05T03:30", "2026-04-04T03:00", "2026-04-05T04:00"),
        ("America/Santiago", "month", "2026-09-30T12:00", "2026-09-01T04:00", "2026-10-01T03:00"),
        ("Asia/Tokyo", "day", "2026-03-29T14:59", "2026-03-28T15:00", "2026-03-29T15:00"),
        ("Asia/Tokyo", "month", "2028-02-29T14:59", "2028-01-31T15:00", "2028-02-29T15:00"),
    ],
)
def test_calendar_windows(zone: str, frame: str, now: str, start: str, end: str) -> None:
    window = window_at(frame, utc(now), brand(zone), Policy(), anchored_at=utc("2020-01-01"))
    assert (window.start, window.end) == (utc(start), utc(end))


def test_week_start_and_day_start_follow_the_brand() -> None:
    sunday = Policy(week_start=6)
    window = window_at("week", utc("2026-11-21T12:00"), brand("Asia/Tokyo"), sunday, anchored_at=utc("2020-01-01"))
    assert (window.first, window.last) == (date(2026, 11, 15), date(2026, 11, 21))
    early = brand("Europe/London", day_start=timedelta(hours=6))
    window = window_at("day", utc("2026-11-21T05:59"), early, Policy(), anchored_at=utc("2020-01-01"))
    assert (window.start, window.end) == (utc("2026-11-20T06:00"), utc("2026-11-21T06:00"))


@pytest.mark.parametrize(
    ("set_at", "now", "first", "last"),
    [
        ("2026-01-31T12:00", "2026-02-27T12:00", date(2026, 1, 31), date(2026, 2, 27)),
        ("2026-01-31T12:00", "2026-02-28T12:00", date(2026, 2, 28), date(2026, 3, 30)),
        ("2026-01-31T12:00", "2026-03-31T12:00", date(2026, 3, 31), date(2026, 4, 29)),
        ("2028-02-29T12:00", "2029-02-28T12:00", date(2029, 2, 28), date(2029, 3, 28)),
        ("2026-01-15T12:00", "2026-01-15T12:00", date(2026, 1, 15), date(2026, 2, 14)),
    ],
)
def test_anniversary_months_end_at_the_last_day_of_short_months(set_at: str, now: str, first: date, last: date) -> None:
    window = window_at("month", utc(now), brand("Asia/Tokyo"), ANNIVERSARY, anchored_at=utc(set_at))
    assert (window.first, window.last) == (first, last)


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from([Policy(), Policy(week_start=6), ANNIVERSARY]),
    st.integers(0, 5 * 365 * 24 * 60),
    st.integers(0, 800 * 24 * 60),
)
def test_windows_are_contiguous(zone: str, frame: str, policy: Policy, set_after: int, minutes: int) -> None:
    """Every instant is in exactly one window, and the next window begins where it ends."""
    began = utc("2024-01-01") + timedelta(minutes=set_after)
    now = began + timedelta(minutes=minutes)
    window = window_at(frame, now, brand(zone), policy, anchored_at=began)
    assert window.start <= now < window.end
    assert 1 <= (window.last - window.first).days + 1 <= 31
    after = window_at(frame, window.end, brand(zone), policy, anchored_at=began)
    assert (after.start, after.first) == (window.end, window.last + timedelta(days=1))
    before = window_at(frame, window.start, brand(zone), policy, anchored_at=began)
    assert before == window


def test_day_that_begins_in_a_repeated_hour_begins_once() -> None:
    """London's clocks go back at 02:00 on 25 October 2026: 01:30 occurs twice."""
    early = brand("Europe/London", day_start=timedelta(hours=1, minutes=30))
    days = [early.booking_day(utc(f"2026-10-25T{time}")) for time in ("00:29", "00:30", "01:10", "01:40", "12:00")]
    assert days == [date(2026, 10, 24)] + [date(2026, 10, 25)] * 4
