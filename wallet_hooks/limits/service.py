"""Players' limits as they stand, and swapping and deleting what is pending.

Whoever changes a customer's limits, or spends against them, holds the customer's lock.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.play_sessions import play_session_of
from wallet_hooks.database.bulk import run
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy, policy_of
from wallet_hooks.ledger.journal import fingerprint
from wallet_hooks.limits.enforcement import LONGEST, Bounds, bounds_of
from wallet_hooks.limits.models import PlayerLimit, RealityCheck
from wallet_hooks.limits.rules import (
    ACTIVE,
    CANCELLED,
    NO_LIMIT,
    PENDING,
    PLAYER,
    SESSION,
    Changing,
    Limit,
    WantedLimit,
    activate,
    change,
    default_limits,
    in_force,
    is_above,
    mature,
)
from wallet_hooks.limits.usage import USAGE_SINCE, Usage
from wallet_hooks.limits.windows import window_at

REALITY_CHECKS = ("15_min", "30_min", "60_min", NO_LIMIT)


@dataclass(frozen=True, slots=True)
class Player:
    """A customer whose limits are looked at, under its brand's rules."""

    customer: Customer
    brand: BrandFacts
    policy: Policy


def player_of(customer: Customer, brand: BrandFacts) -> Player:
    return Player(customer, brand, policy_of(brand.policy))


class CurrentLimits:
    """A player's limits as they stand now: rows, brought to where time alone has brought them."""

    def __init__(self, session: Session, player: Player, *, now: datetime) -> None:
        self._session, self.player, self.now = session, player, now
        query = select(PlayerLimit).where(
            PlayerLimit.customer_id == player.customer.id, PlayerLimit.status.in_([ACTIVE, PENDING])
        )
        self.limits = [_limit(row) for row in session.scalars(query.order_by(PlayerLimit.id))]
        self.caps = player.policy.caps_in(player.customer.currency)
        self.defaults = default_limits(player.policy, player.customer.currency, since=player.customer.created_at)
        mature(self.limits, self.defaults, self.caps, now)

    def save(self) -> None:
        """Write what changed: ended limits first, because a frame holds at most one. The caller holds the lock."""
        for limit in sorted(self.limits, key=lambda limit: (limit.id is None, limit.status in (ACTIVE, PENDING))):
            row = PlayerLimit(customer_id=self.player.customer.id) if limit.id is None else None
            row = row or self._session.get_one(PlayerLimit, limit.id)
            for name in _COLUMNS:
                if getattr(row, name) != getattr(limit, name):
                    setattr(row, name, getattr(limit, name))
            if limit.id is None:
                self._session.add(row)
                self._session.flush()
                limit.id = row.id
        live = any(limit.status in (ACTIVE, PENDING) for limit in self.limits)
        if self.player.customer.limited != live:
            self.player.customer.limited = live

    def own_active(self, type_: str, frame: str | None = None) -> list[Limit]:
        """The player's own limits of a type that are in force, of one frame or of all."""
        active = (limit for limit in self.limits if (limit.type, limit.status, limit.set_by) == (type_, ACTIVE, PLAYER))
        return [limit for limit in active if frame in (None, limit.frame)]

    def in_force(self) -> list[Limit]:
        """What binds the player: its own limits, the operator's, and defaults."""
        return in_force(self.limits, self.defaults)

    def is_above(self, wanted: Limit | WantedLimit) -> bool:
        """Whether a limit that is pending or wanted is above the operator's cap."""
        return is_above(wanted, self.limits, self.defaults, self.caps)

    def after(self, wanted: WantedLimit) -> list[Limit]:
        """What would bind the player once a change is in effect."""
        replaced = self.own_active(wanted.type, None if wanted.frame == NO_LIMIT else wanted.frame)
        limits = [limit for limit in self.limits if limit not in replaced]
        if wanted.amount is not None:
            known = replaced or [one for one in self.defaults if (one.type, one.frame) == (wanted.type, wanted.frame)]
            anchor = known[0].anchored_at if known else self.now
            limits.append(Limit(*wanted, ACTIVE, PLAYER, self.now, self.now, anchor))
        return [limit for limit in in_force(limits, self.defaults) if limit.type == wanted.type]

    def window_end(self, limit: Limit) -> datetime:
        """When the running window of a limit ends."""
        if limit.frame == SESSION:
            return self.now
        window = window_at(limit.frame, self.now, self.player.brand, self.player.policy, anchored_at=limit.anchored_at)
        return window.end

    def change(self, limits: list[Limit], wanted: WantedLimit, *, by: str) -> datetime | None:
        """Change `limits`, which are the standing ones or a copy. Returns when it takes effect, None for at once.

        Raises RefusedError where a limit would be taken away that the operator's cap needs.
        """
        if wanted.amount is None and self.is_above(wanted):
            cap = money.format_amount(self.caps[wanted.type], self.player.customer.currency)
            raise RefusedError("above_cap", f"{wanted.type}: a limit of at most {cap} is needed")
        return change(limits, wanted, Changing(self.defaults, self.player.policy, self.now, self.window_end, by))

    def fingerprint(self) -> str:
        """What a quote is reckoned from."""
        return fingerprint(self.player.brand.policy, *((limit.id, limit.status) for limit in self.limits))

    def bounds(self) -> Bounds:
        """What binds the player's money now."""
        customer, limits = self.player.customer, [copy(limit) for limit in self.limits]
        return bounds_of(
            customer.id,
            limits,
            self.player.brand,
            customer.currency,
            play=play_session_of(customer),
            now=self.now,
        )


_COLUMNS = (
    "type", "frame", "amount", "status", "set_by", "changed_by", "created_at", "effective_at", "anchored_at",
    "needs_confirmation", "expires_at", "swapped_at", "ended_at",
)  # fmt: skip


def usage_of(session: Session, player: Player, *, now: datetime) -> Usage:
    """What counts against a player's limits, as far back as any window reaches."""
    since = player.brand.booking_day(now) - LONGEST
    usage = Usage()
    usage.load(run(session.connection(), USAGE_SINCE([(player.customer.id, since)])), [player.customer.id])
    return usage


def set_reality_check(session: Session, player: Player, period: str, *, now: datetime) -> None:
    session.merge(RealityCheck(customer_id=player.customer.id, period=period, changed_at=now))


def swap(session: Session, standing: CurrentLimits, ids: Sequence[int]) -> list[PlayerLimit]:
    """Put pending limits in force, now that their time has come; those that were swapped before are left as they are.

    Raises RefusedError for all of them: `unknown_row`, `not_yet`, `above_cap`.
    """
    rows = [_own_row(session, standing, id_) for id_ in ids]
    limits = {limit.id: limit for limit in standing.limits}
    for row in rows:
        limit = limits.get(row.id)
        if limit is not None and limit.status == PENDING:
            _check_ready(limit, standing)
            activate(standing.limits, limit, at=standing.now)
        elif not _is_swapped(session, row, limit):
            raise RefusedError("unknown_row", "unknown row id")
    standing.save()
    return rows


def _check_ready(limit: Limit, standing: CurrentLimits) -> None:
    if standing.now < limit.effective_at:
        raise RefusedError("not_yet", f"the limit cannot be activated before {limit.effective_at.isoformat()}")
    if standing.is_above(limit):
        raise RefusedError("above_cap", "the limit is above what the operator allows")


def _is_swapped(session: Session, row: PlayerLimit, limit: Limit | None) -> bool:
    """Whether a row was swapped in before, or by time alone, and nothing has taken its place since."""
    if row.swapped_at is None:
        return limit is not None and limit.swapped_at is not None
    if row.amount is not None:
        return row.status == ACTIVE
    later = select(PlayerLimit.id).where(
        PlayerLimit.customer_id == row.customer_id,
        PlayerLimit.type == row.type,
        PlayerLimit.frame == row.frame,
        PlayerLimit.set_by == PLAYER,
        PlayerLimit.id > row.id,
    )
    return session.scalar(later.limit(1)) is None


def delete(session: Session, standing: CurrentLimits, ids: Sequence[int]) -> None:
    """Give up pending limits; those that were given up before are left as they are. Raises RefusedError."""
    rows = [_own_row(session, standing, id_) for id_ in ids]
    by_id = {limit.id: limit for limit in standing.limits}
    pending = [by_id[row.id] for row in rows if row.id in by_id and by_id[row.id].status == PENDING]
    if len(pending) + sum(row.status == CANCELLED for row in rows) != len(rows):
        raise RefusedError("unknown_row", "unknown row id")
    for limit in pending:
        limit.end(CANCELLED, standing.now)
    standing.save()


def _limit(row: PlayerLimit) -> Limit:
    return Limit(**{name: getattr(row, name) for name in _COLUMNS}, id=row.id, customer_id=row.customer_id)


def _own_row(session: Session, standing: CurrentLimits, id_: int) -> PlayerLimit:
    """A row of the player's own. One message for whatever else it may be."""
    row = session.get(PlayerLimit, id_)
    if row is None or row.customer_id != standing.player.customer.id or row.set_by != PLAYER:
        raise RefusedError("unknown_row", "unknown row id")
    return row
