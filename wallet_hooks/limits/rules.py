"""How limits change: at once where that binds the player more, later where it binds less. Pure.

A player's limits of one type stand side by side, one a frame, and a change of one frame never touches another. In each
frame at most one is ACTIVE and one PENDING, and what is PENDING is looser. Limits that an operator sets are apart: a
player's changes neither see them nor touch them. A default that applies binds as long as the player has no limit of its
own in the default's frame.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wallet_hooks.identity.policy import Policy

ACTIVE, PENDING = "ACTIVE", "PENDING"
REPLACED, SUPERSEDED, CANCELLED, EXPIRED = "REPLACED", "SUPERSEDED", "CANCELLED", "EXPIRED"
NO_LIMIT, SESSION = "no_limit", "session"
PLAYER, OPERATOR, BRAND = "player", "operator", "brand"


@dataclass(slots=True)
class Limit:
    """A limit as it is stored (see `models.PlayerLimit`); a new one has no id and no customer_id yet.

    A default that applies is one too, set by the brand; it is stored nowhere.
    """

    type: str
    frame: str
    amount: int | None
    status: str
    changed_by: str
    created_at: datetime
    effective_at: datetime
    anchored_at: datetime
    needs_confirmation: bool = True
    expires_at: datetime | None = None
    set_by: str = PLAYER
    swapped_at: datetime | None = None
    ended_at: datetime | None = None
    id: int | None = None
    customer_id: int | None = None

    def end(self, status: str, at: datetime) -> None:
        self.status, self.ended_at = status, at


class WantedLimit(NamedTuple):
    """What a player asks for: `amount` None takes the limit away, of frame no_limit all of the type."""

    type: str
    frame: str
    amount: int | None


WindowEnd = Callable[[Limit], datetime]


def default_limits(policy: Policy, currency: str, *, since: datetime) -> list[Limit]:
    """The defaults that apply, for customers of a currency; anniversary windows count from `since`."""
    applied = policy.applied_defaults(currency).items()
    return [
        Limit(type_, frame, amount, ACTIVE, BRAND, since, since, since, set_by=BRAND)
        for type_, (frame, amount) in applied
    ]


def in_force(limits: Iterable[Limit], defaults: Iterable[Limit]) -> list[Limit]:
    """The limits that bind, whoever set them, and the defaults in whose place the player has none."""
    limits = [limit for limit in limits if limit.status == ACTIVE and limit.amount is not None]
    return limits + [default for default in defaults if _in_frame(limits, ACTIVE, default.type, default.frame) is None]


def mature(limits: Iterable[Limit], defaults: Iterable[Limit], caps: Mapping[str, int], now: datetime) -> None:
    """Bring limits to where time alone has brought them, by the rules under which they were asked for.

    `caps` are the operator's by type: what is above one by now stays pending.
    """
    limits = list(limits)
    for limit in sorted(_of(limits, PENDING), key=lambda one: (one.effective_at, one.id or 0)):
        if limit.expires_at is not None and now >= limit.expires_at:
            limit.end(EXPIRED, limit.expires_at)
        elif not limit.needs_confirmation and now >= limit.effective_at and not is_above(limit, limits, defaults, caps):
            activate(limits, limit, at=limit.effective_at)


def is_above(
    wanted: Limit | WantedLimit, limits: Iterable[Limit], defaults: Iterable[Limit], caps: Mapping[str, int]
) -> bool:
    """Whether a limit that is pending or wanted is above the operator's cap.

    Under a cap the last limit of a type cannot be taken away, unless a default binds in its place.
    """
    type_, frame, amount = wanted.type, wanted.frame, wanted.amount
    cap = caps.get(type_)
    if cap is None:
        return False
    if amount is not None:
        return amount > cap
    others = (limit for limit in _of(limits, ACTIVE, type_) if frame not in (limit.frame, NO_LIMIT))
    return not any(limit.amount is not None and limit.amount <= cap for limit in others) and not any(
        default.type == type_ for default in defaults
    )


def activate(limits: Iterable[Limit], pending: Limit, *, at: datetime) -> None:
    """Put a pending limit in the place of the one that it loosens."""
    replaced = _in_frame(limits, ACTIVE, pending.type, pending.frame)
    if replaced is not None:
        replaced.end(REPLACED, at)
        pending.anchored_at = replaced.anchored_at
    pending.swapped_at = at
    if pending.amount is None:
        pending.end(REPLACED, at)  # what takes a limit away is done with it
    else:
        pending.status = ACTIVE


class Changing(NamedTuple):
    """What a change of a player's limits is decided by. `window_end` tells when the running window of one ends."""

    defaults: Sequence[Limit]
    policy: Policy
    now: datetime
    window_end: WindowEnd
    by: str


def change(limits: list[Limit], wanted: WantedLimit, rules: Changing) -> datetime | None:
    """Change what a player has, and add to `limits` what is new. Returns when it takes effect, None for at once.

    `limits` must be mature. Where several frames are taken away together, the latest of their times is returned.
    """
    if wanted.frame != NO_LIMIT:
        return _change_frame(limits, wanted, rules)
    frames = {limit.frame for status in (ACTIVE, PENDING) for limit in _of(limits, status, wanted.type)}
    times = [_change_frame(limits, wanted._replace(frame=frame), rules) for frame in sorted(frames)]
    return max((time for time in times if time is not None), default=None)


def _change_frame(limits: list[Limit], wanted: WantedLimit, rules: Changing) -> datetime | None:
    own = _in_frame(limits, ACTIVE, wanted.type, wanted.frame)
    default = next((one for one in rules.defaults if (one.type, one.frame) == (wanted.type, wanted.frame)), None)
    is_same = wanted.amount == (own.amount if own else None)
    pending = _in_frame(limits, PENDING, wanted.type, wanted.frame)
    if pending is not None:
        pending.end(CANCELLED if is_same else SUPERSEDED, rules.now)
    if is_same:
        return None
    before = own or default
    anchor = before.anchored_at if before else rules.now
    if before is None or not _is_looser(wanted, before, default):
        if own is not None:
            own.end(REPLACED, rules.now)
        if wanted.amount is not None:
            limits.append(Limit(*wanted, ACTIVE, rules.by, rules.now, rules.now, anchor))
        return None
    policy = rules.policy
    effective = rules.now + policy.cooldown
    if policy.wait_period_end:
        effective = max(effective, rules.window_end(before))
    expires = effective + policy.pending_ttl if policy.confirm_required and policy.pending_ttl else None
    limits.append(Limit(*wanted, PENDING, rules.by, rules.now, effective, anchor, policy.confirm_required, expires))
    return effective


def _is_looser(wanted: WantedLimit, before: Limit, default: Limit | None) -> bool:
    """Whether what is wanted binds less than what there is; where a limit is taken away, its default binds again."""
    assert before.amount is not None
    amount = wanted.amount if wanted.amount is not None or default is None else default.amount
    return amount is None or amount > before.amount


def _of(limits: Iterable[Limit], status: str, type_: str | None = None) -> list[Limit]:
    """The player's own limits of a status."""
    return [
        limit for limit in limits if limit.set_by == PLAYER and limit.status == status and type_ in (None, limit.type)
    ]


def _in_frame(limits: Iterable[Limit], status: str, type_: str, frame: str) -> Limit | None:
    return next((limit for limit in _of(limits, status, type_) if limit.frame == frame), None)
