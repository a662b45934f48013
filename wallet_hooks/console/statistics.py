"""Callbacks over time, from the stored deliveries: numbers by outcome, reasons of refusals, answer times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.orm import Session

from wallet_hooks.database import has_row_locks
from wallet_hooks.database.tables import as_instant
from wallet_hooks.deliveries.models import Delivery

# Shares of answers that are slower than the shown answer time.
_SLOWEST = 0.05
OUTCOMES = ("accepted", "refused", "rejected", "failed")


class Span(NamedTuple):
    """A time span of the overview: its name, length, and the width of a bar of its chart."""

    name: str
    length: timedelta
    step: timedelta


SPANS = {
    "hour": Span("last hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": Span("last 24 hours", timedelta(days=1), timedelta(hours=1)),
}


class Bar(NamedTuple):
    """Callbacks from an instant until the next bar, by outcome, in the order of `OUTCOMES`."""

    begins: datetime
    counts: tuple[int, ...]


class Statistics(NamedTuple):
    """Callbacks of a span. `reasons` are status, code and number of callbacks.

    `p95_ms` is the answer time that 95 of 100 callbacks stay within; None without callbacks.
    """

    bars: Sequence[Bar]
    totals: dict[str, int]
    reasons: Sequence[tuple[int, str, int]]
    p95_ms: float | None


def answer_kind(status: int) -> str:
    """Return how a callback was answered: refused by a rule (402), rejected as invalid, or failed on our side."""
    if status == 200:
        return "accepted"
    if status == 402:
        return "refused"
    return "rejected" if status < 500 else "failed"


def callback_statistics(session: Session, span: Span, *, now: datetime) -> Statistics:
    """Return the statistics of a span that ends with the running minute or hour."""
    last = _floor(now, span.step)
    first = last - span.length + span.step
    counted = _counts(session, span, first)
    bars = {first + n * span.step: dict.fromkeys(OUTCOMES, 0) for n in range(span.length // span.step)}
    reasons: dict[tuple[int, str], int] = {}
    for minute, status, reason, count in counted:
        bar = bars.get(_floor(minute, span.step))
        if bar is not None:
            bar[answer_kind(status)] += count
        if status != 200:
            key = (status, reason or str(status))
            reasons[key] = reasons.get(key, 0) + count
    totals = {name: sum(bar[name] for bar in bars.values()) for name in OUTCOMES}
    shown = [Bar(begins, tuple(bar.values())) for begins, bar in bars.items()]
    frequent = [(*key, count) for key, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0]))]
    return Statistics(shown, totals, frequent, _p95(session, first, sum(totals.values())))


def _counts(session: Session, span: Span, first: datetime) -> list[tuple[datetime, int, str, int]]:
    """Return numbers of callbacks by minute or hour, status and reason."""
    unit = "hour" if span.step >= timedelta(hours=1) else "minute"
    is_postgresql = has_row_locks(session.get_bind().engine)
    moment: ColumnElement[Any]
    reason: ColumnElement[Any]
    if is_postgresql:
        moment, reason = func.date_trunc(unit, Delivery.received_at, "UTC"), func.split_part(Delivery.answer, '"', 4)
    else:
        layout = "%Y-%m-%d %H:00:00" if unit == "hour" else "%Y-%m-%d %H:%M:00"
        moment, reason = (
            func.strftime(layout, cast(Delivery.received_at, Text)),
            func.json_extract(Delivery.answer, "$.error"),
        )
    query = select(moment, Delivery.status, reason, func.count()).where(Delivery.received_at >= first)
    rows = session.execute(query.group_by(moment, Delivery.status, reason))
    return [(as_instant(at), status, why if status != 200 else "", count) for at, status, why, count in rows]


def _p95(session: Session, first: datetime, count: int) -> float | None:
    if not count:
        return None
    slowest = select(Delivery.duration_us).where(Delivery.received_at >= first).order_by(Delivery.duration_us.desc())
    found = session.scalar(slowest.offset(int(count * _SLOWEST)).limit(1))
    return None if found is None else found / 1000


def _floor(instant: datetime, step: timedelta) -> datetime:
    seconds = int(instant.timestamp()) // int(step.total_seconds()) * int(step.total_seconds())
    return datetime.fromtimestamp(seconds, UTC)
