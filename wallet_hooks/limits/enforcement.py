"""Holding bets and deposits to the limits in force. Pure, but for the statements that read what it looks at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from wallet_hooks.database import RowStatement, as_instant
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy, policy_of
from wallet_hooks.limits.rules import SESSION, Limit, in_force, mature
from wallet_hooks.limits.usage import Usage
from wallet_hooks.limits.windows import window_at

LIVE_LIMITS = RowStatement(
    "SELECT l.customer_id, l.id, l.type, l.frame, l.amount, l.status, l.set_by, l.moves, l.changed_by, l.created_at,"
    " l.effective_at, l.anchored_at, l.needs_confirmation, l.expires_at FROM {asked}"
    " JOIN player_limit l ON l.customer_id = asked.id WHERE l.status IN ('ACTIVE', 'PENDING') ORDER BY l.id",
    asked={"id": "bigint"},
)
# Bets come without a session: the one that counts began with the last login, and logging out does not end it.
LAST_LOGINS = RowStatement(
    "SELECT c.id, c.last_login_at FROM {asked} JOIN customer c ON c.id = asked.id WHERE c.last_login_at IS NOT NULL",
    asked={"id": "bigint"},
)
# No window is longer than a month, wherever it begins.
LONGEST = timedelta(days=31)


class Bound(NamedTuple):
    """A limit in force, in minor units, and the local days that it counts over."""

    type: str
    amount: int
    first: date
    last: date


@dataclass(slots=True)
class Bounds:
    """What binds one customer. `playing_until` is when its session's time is over, None where nothing limits it."""

    customer_id: int
    policy: Policy
    bounds: list[Bound] = field(default_factory=list)
    playing_until: datetime | None = None

    def left(self, type_: str, usage: Usage) -> int | None:
        """What is left of the tightest limit of a type, below zero where more is used; None where there is none."""
        return min(
            (
                bound.amount - usage.used(type_, self.customer_id, bound.first, bound.last, self.policy)
                for bound in self.bounds
                if bound.type == type_
            ),
            default=None,
        )


def limits_by_customer(rows: Iterable[Sequence[Any]]) -> dict[int, list[Limit]]:
    """Rows of LIVE_LIMITS."""
    found: dict[int, list[Limit]] = {}
    for customer_id, id_, type_, frame, amount, status, set_by, moves, by, *times, needs_confirmation, expires in rows:
        created_at, effective_at, anchored_at = map(as_instant, times)
        expires_at = expires and as_instant(expires)
        limit = Limit(
            type_, frame, amount, status, by, created_at, effective_at, anchored_at, bool(needs_confirmation),
            expires_at, set_by, bool(moves), id=id_,
        )  # fmt: skip
        found.setdefault(customer_id, []).append(limit)
    return found


def bounds_of(
    customer_id: int,
    limits: list[Limit],
    brand: BrandFacts,
    *,
    currency: str,
    session_began: datetime | None,
    now: datetime,
) -> Bounds:
    """What binds a customer now, of the limits that are live."""
    policy = policy_of(brand.policy)
    mature(limits, policy.caps_in(currency), now)
    bounds = Bounds(customer_id, policy)
    for limit in in_force(limits):
        assert limit.amount is not None
        if limit.frame != SESSION:
            window = window_at(limit.frame, now, brand, policy, anchored_at=limit.anchored_at)
            bounds.bounds.append(Bound(limit.type, limit.amount, window.first, window.last))
        elif session_began is not None:
            until = session_began + timedelta(minutes=limit.amount)
            bounds.playing_until = min(until, bounds.playing_until or until)
    return bounds


def stake_refusal(bounds: Bounds | None, usage: Usage, cost: int, spent: int, *, now: datetime) -> str | None:
    """The code of the limit that a stake would break; `spent` was taken by the same request and is not in `usage` yet.

    Minor units of the customer's currency. A stake of 0 breaks no limit on money.
    """
    if bounds is None:
        return None
    if bounds.playing_until is not None and now >= bounds.playing_until:
        return "session_time_exceeded"
    for type_ in ("bet", "loss"):
        left = bounds.left(type_, usage)
        if cost and left is not None and cost + spent > left:
            return f"{type_}_limit_exceeded"
    return None


def logins_by_customer(rows: Iterable[Sequence[Any]]) -> Mapping[int, datetime]:
    """Rows of LAST_LOGINS."""
    return {customer_id: as_instant(began) for customer_id, began in rows}
