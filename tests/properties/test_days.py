"""Accounting days in every time zone, around clock changes, for every start of the day."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy
from wallet_hooks.limits.windows import window_at

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def clock_changes(zone: ZoneInfo, year: int) -> Iterator[datetime]:
    """Yield the instants of a year at which a zone's UTC offset changes, to the second."""
    begin = datetime(year, 1, 1, tzinfo=UTC)
    for number in range(366):
        before, after = begin + number * DAY, begin + (number + 1) * DAY
        offset = before.astimezone(zone).utcoffset()
        if after.astimezone(zone).utcoffset() == offset:
            continue
        while after - before > SECOND:
            middle = before + (after - before) // SECOND // 2 * SECOND
            is_before = middle.astimezone(zone).utcoffset() == offset
            before, after = (middle, after) if is_before else (before, middle)
        yield after


@st.composite
def days_and_instants(draw: st.DrawFn) -> tuple[BrandFacts, datetime]:
    """Draw a brand, whose day often begins near a clock change, and an instant within two days of that change."""
    zone = ZoneInfo(draw(st.sampled_from(sorted(available_timezones()))))
    year = draw(st.integers(1970, 2037))
    change = draw(st.sampled_from([*clock_changes(zone, year), datetime(year, 6, 15, 12, tzinfo=UTC)]))
    near = (change.astimezone(zone) + timedelta(minutes=draw(st.integers(-150, 150)))).time()
    start = draw(st.sampled_from([near, time()]) | st.times())
    brand = BrandFacts(1, "acme", "EUR", zone, timedelta(hours=start.hour, minutes=start.minute), "debt")
    seconds = draw(st.integers(-2 * 3600, 2 * 3600) | st.integers(-2 * 86_400, 2 * 86_400))
    return brand, change + timedelta(seconds=seconds)


@given(days_and_instants())
@settings(max_examples=300)
def test_accounting_day_contains_its_instants(found: tuple[BrandFacts, datetime]) -> None:
    brand, about = found
    for minutes in range(-120, 121, 15):
        instant = about + timedelta(minutes=minutes)
        day = brand.booking_day(instant)
        begins, ends = brand.day_begins(day), brand.day_begins(day + DAY)
        assert begins <= instant < ends
        assert brand.booking_day(begins) == day
        assert brand.booking_day(begins - SECOND) < day
        assert brand.booking_day(ends) > day
        window = window_at("day", instant, brand, Policy(), anchored_at=instant)
        assert (window.first, window.start, window.end) == (day, begins, ends)


@given(days_and_instants())
@settings(max_examples=300)
def test_day_begins_when_the_clocks_first_show_its_start_or_a_later_time(found: tuple[BrandFacts, datetime]) -> None:
    brand, instant = found
    for day in (brand.booking_day(instant), brand.booking_day(instant) + DAY):
        begins, hour = brand.day_begins(day), datetime.combine(day, time()) + brand.day_start
        assert begins.astimezone(brand.timezone).replace(tzinfo=None) >= hour
        for seconds in (1, 60, 1800, 3600, 7200):
            before = begins - timedelta(seconds=seconds)
            assert before.astimezone(brand.timezone).replace(tzinfo=None) < hour
