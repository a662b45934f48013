"""Enforcement of the limits in force on stakes and deposits. Pure: `loading.py` reads its inputs."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from wallet_hooks.customers.play_sessions import PlaySession
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy, policy_of
from wallet_hooks.limits.rules import SESSION, Limit, apply_policy, in_force
from wallet_hooks.limits.usage import Usage
from wallet_hooks.limits.windows import Window, window_at

BET_TYPES = ("bet", "loss")
# The longest window is a month.
LONGEST_WINDOW = timedelta(days=31)


def usage_since(brand: BrandFacts, now: datetime) -> date:
    """Return the day from which usage is read: that of the longest possible window."""
    return brand.booking_day(now) - LONGEST_WINDOW


class Bound(NamedTuple):
    """A limit on money that is in force (minor units of the customer's currency), and its window."""

    type: str
    amount: int
    window: Window

    def left(self, usage: Usage, customer_id: int, policy: Policy) -> int:
        """Return what is left of the limit: negative if it is exceeded."""
        return self.amount - usage.used(self.type, customer_id, self.window.first, self.window.last, policy)


def bound_of(limit: Limit, brand: BrandFacts, policy: Policy, *, now: datetime) -> Bound:
    """Return the bound of a limit on money that is in force at `now`."""
    assert limit.amount is not None
    return Bound(limit.type, limit.amount, window_at(limit.frame, now, brand, policy, anchored_at=limit.anchored_at))


@dataclass(slots=True)
class EnforcedLimits:
    """The limits in force for one customer.

    `playing_until` is when the time limit of the play session ends; None without a time limit. `session_to_store` is
    when the play session of a customer without a login began; it is stored with the next accepted bet.
    """

    customer_id: int
    policy: Policy
    bounds: list[Bound] = field(default_factory=list)
    playing_until: datetime | None = None
    session_to_store: datetime | None = None

    def left(self, type_: str, usage: Usage) -> int | None:
        """Return what is left of the tightest limit of a type: negative if exceeded, None without a limit."""
        return min(
            (bound.left(usage, self.customer_id, self.policy) for bound in self.bounds if bound.type == type_),
            default=None,
        )


def enforced_limits(
    customer_id: int,
    limits: list[Limit],
    brand: BrandFacts,
    currency: str,
    *,
    play: PlaySession,
    now: datetime,
) -> EnforcedLimits:
    """Return the limits in force at `now`, from the customer's active and pending limits and the brand's defaults."""
    policy = policy_of(brand.policy)
    defaults = apply_policy(limits, policy, currency, since=play.created_at, now=now)
    found = EnforcedLimits(customer_id, policy)
    for limit in in_force(limits, defaults):
        if limit.frame != SESSION:
            found.bounds.append(bound_of(limit, brand, policy, now=now))
            continue
        assert limit.amount is not None
        began = play.begins(gap=policy.session_gap, now=now)
        until = began + timedelta(minutes=limit.amount)
        found.playing_until = min(until, found.playing_until or until)
        found.session_to_store = began if play.last_login_at is None else None
    return found


def limit_refusal(limits: EnforcedLimits | None, usage: Usage, cost: int, spent: int, *, now: datetime) -> str | None:
    """Return the refusal code of the first limit that a stake would exceed, None if it exceeds none.

    `cost` and `spent` are minor units of the customer's currency; `spent` is the cost of earlier bets of the same
    request, not yet in `usage`. A stake of 0 exceeds no amount limit.
    """
    if limits is None:
        return None
    if limits.playing_until is not None and now >= limits.playing_until:
        return "session_time_exceeded"
    for type_ in BET_TYPES:
        left = limits.left(type_, usage)
        if cost and left is not None and cost + spent > left:
            return f"{type_}_limit_exceeded"
    return None


def defaults_bind_bets(brand: BrandFacts, currency: str) -> bool:
    """Return whether the brand's defaults limit the bets of customers who set no limit."""
    return any(type_ in BET_TYPES for type_ in policy_of(brand.policy).applied_defaults(currency))
