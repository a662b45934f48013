"""Holding bets and deposits to the limits in force. Pure: `bounds.py` reads what it looks at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from wallet_hooks.customers.play_sessions import PlaySession, PlaySessionRow
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy, policy_of
from wallet_hooks.limits.rules import SESSION, Limit, default_limits, in_force, mature
from wallet_hooks.limits.usage import Usage
from wallet_hooks.limits.windows import window_at

_OF_BETS = ("bet", "loss")
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
    """What binds one customer. `playing_until` is when its session's time is over, None where nothing limits it.

    `session_to_keep` is when the session of a customer without a login began: it is stored with the next bet.
    """

    customer_id: int
    policy: Policy
    bounds: list[Bound] = field(default_factory=list)
    playing_until: datetime | None = None
    session_to_keep: datetime | None = None

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


def bounds_of(
    customer_id: int,
    limits: list[Limit],
    brand: BrandFacts,
    currency: str,
    *,
    play: PlaySession,
    now: datetime,
) -> Bounds:
    """What binds a customer now, of the limits that are live and the defaults that apply."""
    policy = policy_of(brand.policy)
    defaults = default_limits(policy, currency, since=play.created_at)
    mature(limits, defaults, policy.caps_in(currency), now)
    bounds = Bounds(customer_id, policy)
    for limit in in_force(limits, defaults):
        assert limit.amount is not None
        if limit.frame != SESSION:
            window = window_at(limit.frame, now, brand, policy, anchored_at=limit.anchored_at)
            bounds.bounds.append(Bound(limit.type, limit.amount, window.first, window.last))
            continue
        began = play.begins(gap=policy.session_gap, now=now)
        until = began + timedelta(minutes=limit.amount)
        bounds.playing_until = min(until, bounds.playing_until or until)
        bounds.session_to_keep = began if play.last_login_at is None else None
    return bounds


def stake_refusal(bounds: Bounds | None, usage: Usage, cost: int, spent: int, *, now: datetime) -> str | None:
    """The code of the limit that a stake would break; `spent` was taken by the same request and is not in `usage` yet.

    Minor units of the customer's currency. A stake of 0 breaks no limit on money.
    """
    if bounds is None:
        return None
    if bounds.playing_until is not None and now >= bounds.playing_until:
        return "session_time_exceeded"
    for type_ in _OF_BETS:
        left = bounds.left(type_, usage)
        if cost and left is not None and cost + spent > left:
            return f"{type_}_limit_exceeded"
    return None


def defaults_bind_bets(brand: BrandFacts, currency: str) -> bool:
    """Whether defaults bind the bets of customers who set no limit."""
    return any(type_ in _OF_BETS for type_ in policy_of(brand.policy).applied_defaults(currency))


def sessions_to_keep(bounds: Mapping[int, Bounds], bettors: Iterable[int], *, now: datetime) -> list[PlaySessionRow]:
    """The play sessions to store, of customers without a login whose bets were taken now; mostly none."""
    kept = {id_: one.session_to_keep for id_, one in bounds.items() if one.session_to_keep is not None}
    began = ((id_, kept[id_]) for id_ in sorted(kept.keys() & set(bettors))) if kept else ()
    return [PlaySessionRow(id_, session_began_at, now) for id_, session_began_at in began]
