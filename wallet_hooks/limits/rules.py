"""Rules for changing limits: a stricter limit takes effect at once, a looser one after the cool-off. Pure.

A player's limits of one type coexist, one per frame; a change of one frame never affects another. In each frame at most
one limit is ACTIVE and one PENDING, and the PENDING one is looser. Limits set by an operator are separate: a player's
changes neither read nor modify them. A default that applies is in force while the player has no limit of its own in the
default's frame.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wallet_hooks.identity.policy import Policy

LIVE = ACTIVE, PENDING = "ACTIVE", "PENDING"
REPLACED, SUPERSEDED, CANCELLED, EXPIRED = "REPLACED", "SUPERSEDED", "CANCELLED", "EXPIRED"
NO_LIMIT, SESSION = "no_limit", "session"
PLAYER, OPERATOR, BRAND = "player", "operator", "brand"


@dataclass(slots=True)
class Limit:
    """A limit as stored (see `models.PlayerLimit`). A new one has no `id` and no `customer_id` yet.

    A default that applies is also a Limit, with `set_by` brand; it is never stored.
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


def setter_of(set_by: str, changed_by: str) -> tuple[str, str | None]:
    """Return who set a limit, and the label of the player's own: a name that the player sent is not verified."""
    if set_by != PLAYER:
        return changed_by, None
    return PLAYER, None if changed_by == PLAYER else changed_by


class LimitChange(NamedTuple):
    """A change that a player requests. `amount` None removes the limit; with frame no_limit, all limits of the type."""

    type: str
    frame: str
    amount: int | None


WindowEnd = Callable[[Limit], datetime]


def default_limits(policy: Policy, currency: str, *, since: datetime) -> list[Limit]:
    """Return the defaults that apply to customers of a currency. Anniversary windows count from `since`."""
    applied = policy.applied_defaults(currency).items()
    return [
        Limit(type_, frame, amount, ACTIVE, BRAND, since, since, since, set_by=BRAND)
        for type_, (frame, amount) in applied
    ]


def in_force(limits: Iterable[Limit], defaults: Iterable[Limit]) -> list[Limit]:
    """Return the active limits of player and operator, and the defaults of frames where the player has no limit."""
    limits = [limit for limit in limits if limit.status == ACTIVE and limit.amount is not None]
    return limits + [default for default in defaults if _in_frame(limits, ACTIVE, default.type, default.frame) is None]


def apply_policy(
    limits: Iterable[Limit], policy: Policy, currency: str, *, since: datetime, now: datetime
) -> list[Limit]:
    """Apply the changes that are due at `now`, and return the policy's defaults, for a customer since then."""
    defaults = default_limits(policy, currency, since=since)
    apply_due_changes(limits, defaults, policy.caps_in(currency), now)
    return defaults


def apply_due_changes(
    limits: Iterable[Limit], defaults: Iterable[Limit], caps: Mapping[str, int], now: datetime
) -> None:
    """Expire and activate pending limits that are due at `now`, by the rules in force when they were requested.

    `caps` are the operator's, by type, in minor units; a pending limit above its cap stays pending.
    """
    limits = list(limits)
    for limit in sorted(_of(limits, PENDING), key=lambda one: (one.effective_at, one.id or 0)):
        if limit.expires_at is not None and now >= limit.expires_at:
            limit.end(EXPIRED, limit.expires_at)
        elif (
            not limit.needs_confirmation
            and now >= limit.effective_at
            and not is_above_cap(limit, limits, defaults, caps)
        ):
            activate(limits, limit, at=limit.effective_at)


def is_above_cap(
    requested: Limit | LimitChange, limits: Iterable[Limit], defaults: Iterable[Limit], caps: Mapping[str, int]
) -> bool:
    """Return whether a pending or requested limit exceeds the operator's cap, and the player's limit that it replaces.

    A limit that was set before the cap may be lowered in steps. Under a cap the last limit of a type cannot be removed,
    unless a default of the type applies.
    """
    type_, frame, amount = requested.type, requested.frame, requested.amount
    cap = caps.get(type_)
    if cap is None:
        return False
    if amount is not None:
        own = _in_frame(limits, ACTIVE, type_, frame)
        return amount > cap and (own is None or own.amount is None or amount > own.amount)
    others = (limit for limit in _of(limits, ACTIVE, type_) if frame not in (limit.frame, NO_LIMIT))
    return not any(limit.amount is not None and limit.amount <= cap for limit in others) and not any(
        default.type == type_ for default in defaults
    )


def activate(limits: Iterable[Limit], pending: Limit, *, at: datetime) -> None:
    """Activate a pending limit and end the active limit that it replaces."""
    replaced = _in_frame(limits, ACTIVE, pending.type, pending.frame)
    if replaced is not None:
        replaced.end(REPLACED, at)
        pending.anchored_at = replaced.anchored_at
    pending.swapped_at = at
    if pending.amount is None:
        pending.end(REPLACED, at)  # a removal has no limit to keep active
    else:
        pending.status = ACTIVE


class ChangeContext(NamedTuple):
    """The inputs of a change of limits. `window_end` returns when the running window of a limit ends."""

    defaults: Sequence[Limit]
    policy: Policy
    now: datetime
    window_end: WindowEnd
    changed_by: str


def change(limits: list[Limit], requested: LimitChange, context: ChangeContext) -> datetime | None:
    """Apply a requested change to `limits`, appending new limits. Return when it takes effect; None means at once.

    Call `apply_due_changes` on `limits` first. If several frames are removed, the latest of their times is returned.
    """
    if requested.frame != NO_LIMIT:
        return _change_frame(limits, requested, context)
    frames = {limit.frame for status in LIVE for limit in _of(limits, status, requested.type)}
    times = [_change_frame(limits, requested._replace(frame=frame), context) for frame in sorted(frames)]
    return max((time for time in times if time is not None), default=None)


def limits_after(limits: list[Limit], requested: LimitChange, context: ChangeContext) -> list[Limit]:
    """Return `limits`, modified, as they will be once a requested change is in effect."""
    change(limits, requested, context)
    for pending in _of(limits, PENDING, requested.type):
        if requested.frame in (pending.frame, NO_LIMIT):
            activate(limits, pending, at=pending.effective_at)
    return limits


def _change_frame(limits: list[Limit], requested: LimitChange, context: ChangeContext) -> datetime | None:
    own = _in_frame(limits, ACTIVE, requested.type, requested.frame)
    default = next(
        (one for one in context.defaults if (one.type, one.frame) == (requested.type, requested.frame)), None
    )
    is_same = requested.amount == (own.amount if own else None)
    pending = _in_frame(limits, PENDING, requested.type, requested.frame)
    if pending is not None:
        pending.end(CANCELLED if is_same else SUPERSEDED, context.now)
    if is_same:
        return None
    before = own or default
    anchor = before.anchored_at if before else context.now
    if before is None or not _is_looser(requested, before, default):
        if own is not None:
            own.end(REPLACED, context.now)
        if requested.amount is not None:
            limits.append(Limit(*requested, ACTIVE, context.changed_by, context.now, context.now, anchor))
        return None
    policy = context.policy
    effective = context.now + policy.cooldown
    if policy.wait_period_end:
        effective = max(effective, context.window_end(before))
    expires = effective + policy.pending_ttl if policy.confirm_required and policy.pending_ttl else None
    limits.append(
        Limit(*requested, PENDING, context.changed_by, context.now, effective, anchor, policy.confirm_required, expires)
    )
    return effective


def _is_looser(requested: LimitChange, before: Limit, default: Limit | None) -> bool:
    """Return whether a change is looser than the limit before it. After a removal the default applies again, if any."""
    assert before.amount is not None
    amount = requested.amount if requested.amount is not None or default is None else default.amount
    return amount is None or amount > before.amount


def _of(limits: Iterable[Limit], status: str, type_: str | None = None) -> list[Limit]:
    """Return the player's own limits with a status, of one type or all."""
    return [
        limit for limit in limits if limit.set_by == PLAYER and limit.status == status and type_ in (None, limit.type)
    ]


def _in_frame(limits: Iterable[Limit], status: str, type_: str, frame: str) -> Limit | None:
    return next((limit for limit in _of(limits, status, type_) if limit.frame == frame), None)
