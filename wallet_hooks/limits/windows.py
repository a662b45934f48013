"""The windows that limits count over: local days of the brand, with their bounds as UTC instants. Pure."""

import calendar
from datetime import date, datetime, timedelta
from typing import NamedTuple

from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy


class Window(NamedTuple):
    """A range of local days, `first` and `last` included. `start` and `end` are its UTC instants, `end` excluded."""

    first: date
    last: date
    start: datetime
    end: datetime


def window_at(frame: str, now: datetime, brand: BrandFacts, policy: Policy, *, anchored_at: datetime) -> Window:
    """Return the window of frame day, week or month that contains `now`.

    Calendar windows begin with the brand's day, its week or the month; anniversary windows count from `anchored_at`,
    the day on which the limit was first set.
    """
    today = brand.booking_day(now)
    if policy.window == "anniversary":
        first, after = _anniversary(frame, today, brand.booking_day(anchored_at))
    else:
        first, after = _calendar(frame, today, policy.week_start)
    return Window(first, after - timedelta(days=1), brand.day_begins(first), brand.day_begins(after))


def _calendar(frame: str, today: date, week_start: int) -> tuple[date, date]:
    if frame == "day":
        return today, today + timedelta(days=1)
    if frame == "week":
        first = today - timedelta(days=(today.weekday() - week_start) % 7)
        return first, first + timedelta(days=7)
    first = today.replace(day=1)
    return first, _month_after(first, 1, 1)


def _anniversary(frame: str, today: date, anchor: date) -> tuple[date, date]:
    if frame == "day":
        return today, today + timedelta(days=1)
    if frame == "week":
        first = today - timedelta(days=(today - anchor).days % 7)
        return first, first + timedelta(days=7)
    months = (today.year - anchor.year) * 12 + today.month - anchor.month
    if _month_after(anchor, months, anchor.day) > today:
        months -= 1
    return _month_after(anchor, months, anchor.day), _month_after(anchor, months + 1, anchor.day)


def _month_after(start: date, months: int, day: int) -> date:
    """Return `day` of the month that is `months` after `start`, or the month's last day if it has no such day."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(day, calendar.monthrange(year, month + 1)[1]))
