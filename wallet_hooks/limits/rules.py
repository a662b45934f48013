"""How limits change: at once where that binds the player more, later where it binds less. Pure.

A player's limits of one type stand side by side, one a frame. In each frame at most one is ACTIVE and one PENDING. What
an operator sets is apart: a player's changes neither see it nor touch it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from wallet_hooks.identity.policy import Policy

ACTIVE, PENDING = "ACTIVE", "PENDING"
REPLACED, SUPERSEDED, CANCELLED, EXPIRED = "REPLACED", "SUPERSEDED", "CANCELLED", "EXPIRED"
NO_LIMIT, SESSION = "no_limit", "session"
PLAYER, OPERATOR = "player", "operator"

# How often a frame's amount fits, at most, into a day, a week and a month: 31 days touch up to six weeks.
_FITS = {"day": (1, 7, 31), "week": (1, 1, 6), "month": (1, 1, 1), SESSION: (1, 1, 1)}


@dataclass(slots=True)
class Limit:
    """A limit as it is stored (see `models.PlayerLimit`); a new one has no id yet."""

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
    moves: bool = False
    swapped_at: datetime | None = None
    ended_at: datetime | None = None
    id: int | None = None

    def end(self, status: str, at: datetime) -> None:
        self.status, self.ended_at = status, at


class Wanted(NamedTuple):
    """What a player asks for: `amount` None takes the limit away, of frame no_limit all of the type."""

    type: str
    frame: str
    amount: int | None


WindowEnd = Callable[[Limit], datetime]


def in_force(limits: Iterable[Limit]) -> list[Limit]:
    """The limits that bind, whoever set them."""
    return [limit for limit in limits if limit.status == ACTIVE and limit.amount is not None]


def mature(limits: Iterable[Limit], caps: Mapping[str, int], now: datetime) -> None:
    """Bring limits to where time alone has brought them, by the rules under which they were asked for.

    `caps` are the operator's by type: what is above one by now stays pending.
    """
    limits = list(limits)
    for limit in sorted(_of(limits, PENDING), key=lambda one: (one.effective_at, one.id or 0)):
        if limit.expires_at is not None and now >= limit.expires_at:
            limit.end(EXPIRED, limit.expires_at)
        elif not limit.needs_confirmation and now >= limit.effective_at and not is_above(limit, caps):
            activate(limits, limit, at=limit.effective_at)


def is_above(limit: Limit, caps: Mapping[str, int]) -> bool:
    """Whether a limit is above the operator's cap; none at all is above any."""
    cap = caps.get(limit.type)
    return cap is not None and (limit.amount is None or limit.amount > cap)


def activate(limits: Iterable[Limit], pending: Limit, *, at: datetime) -> None:
    """Put a pending limit in the place of those that it loosens."""
    for other in _of(limits, ACTIVE, pending.type):
        if gives_way(other, pending):
            other.end(REPLACED, at)
            if other.frame == pending.frame:
                pending.anchored_at = other.anchored_at
    pending.swapped_at = at
    if pending.amount is None:
        pending.end(REPLACED, at)  # what takes a limit away is done with it
    else:
        pending.status = ACTIVE


def change(
    limits: list[Limit], wanted: Wanted, policy: Policy, *, now: datetime, window_end: WindowEnd, by: str
) -> datetime | None:
    """Change what a player has, and add to `limits` what is new. Returns when it takes effect, None for at once.

    `limits` must be mature. `window_end` tells when the running window of an active limit ends.
    """
    active = _of(limits, ACTIVE, wanted.type)
    same = [limit for limit in active if limit.frame == wanted.frame]
    pending = [
        limit
        for limit in _of(limits, PENDING, wanted.type)
        if limit.frame in (wanted.frame, NO_LIMIT) or limit.moves or wanted.frame == NO_LIMIT
    ]
    affected = active if wanted.frame == NO_LIMIT else same
    if (wanted.amount is None and not affected) or any(limit.amount == wanted.amount for limit in same):
        _end_all(pending, CANCELLED, now)
        return None
    _end_all(pending, SUPERSEDED, now)
    if wanted.amount is not None and _is_tighter(wanted, same or active):
        _end_all(same, REPLACED, now)
        anchor = min((limit.anchored_at for limit in same), default=now)
        limits.append(Limit(*wanted, ACTIVE, by, now, now, anchor))
        return None
    moves = not same and wanted.amount is not None
    effective = now + policy.cooldown
    if policy.wait_period_end:
        effective = max([effective, *map(window_end, active if moves else affected)])
    expires = effective + policy.pending_ttl if policy.confirm_required and policy.pending_ttl else None
    confirmed = policy.confirm_required
    limits.append(Limit(*wanted, PENDING, by, now, effective, effective, confirmed, expires, moves=moves))
    return effective


def _of(limits: Iterable[Limit], status: str, type_: str | None = None) -> list[Limit]:
    return [
        limit for limit in limits if limit.set_by == PLAYER and limit.status == status and type_ in (None, limit.type)
    ]


def gives_way(other: Limit, pending: Limit) -> bool:
    """Whether an active limit ends when a pending one of its type is put in force."""
    if pending.frame in (NO_LIMIT, other.frame):
        return True
    return pending.moves and not _is_tighter(Wanted(pending.type, pending.frame, pending.amount), [other])


def _is_tighter(wanted: Wanted, active: Iterable[Limit]) -> bool:
    """Whether the cap falls or stays at day, week and month, with the wanted limit alone in the place of the others."""
    assert wanted.amount is not None
    caps = [_caps(limit.frame, limit.amount) for limit in active if limit.amount is not None]
    new = _caps(wanted.frame, wanted.amount)
    return all(cap <= min((old[index] for old in caps), default=cap) for index, cap in enumerate(new))


def _caps(frame: str, amount: int) -> tuple[int, ...]:
    return tuple(amount * times for times in _FITS[frame])


def _end_all(limits: Iterable[Limit], status: str, at: datetime) -> None:
    for limit in limits:
        limit.end(status, at)
