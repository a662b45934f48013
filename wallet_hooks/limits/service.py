"""A player's current limits; activation (swap) and cancellation (delete) of pending limits.

Code that changes a customer's limits, or counts a stake or deposit against them, must hold the customer's lock.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer, Payment
from wallet_hooks.customers.play_sessions import play_session_of
from wallet_hooks.database.bulk import run
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.policy import Policy, policy_of
from wallet_hooks.ledger.journal import fingerprint
from wallet_hooks.limits.enforcement import Bound, EnforcedLimits, bound_of, enforced_limits, usage_since
from wallet_hooks.limits.models import PlayerLimit, RealityCheck
from wallet_hooks.limits.rules import (
    ACTIVE,
    CANCELLED,
    LIVE,
    NO_LIMIT,
    PENDING,
    PLAYER,
    SESSION,
    ChangeContext,
    Limit,
    LimitChange,
    activate,
    apply_policy,
    change,
    in_force,
    is_above_cap,
    limits_after,
)
from wallet_hooks.limits.usage import USAGE_SINCE, Usage
from wallet_hooks.limits.windows import window_at

_UNKNOWN_ROW = "row_id: no such pending limit of this player"
REALITY_CHECKS = ("15_min", "30_min", "60_min", NO_LIMIT)


@dataclass(frozen=True, slots=True)
class Player:
    """A customer with its brand and the brand's policy for limits."""

    customer: Customer
    brand: BrandFacts
    policy: Policy


def player_of(customer: Customer, brand: BrandFacts) -> Player:
    return Player(customer, brand, policy_of(brand.policy))


class CurrentLimits:
    """A player's stored limits, with the changes due by `now` applied in memory; `save` writes them."""

    def __init__(self, session: Session, player: Player, *, now: datetime) -> None:
        self._session, self.player, self.now = session, player, now
        query = select(PlayerLimit).where(PlayerLimit.customer_id == player.customer.id, PlayerLimit.status.in_(LIVE))
        self.limits = [_limit(row) for row in session.scalars(query.order_by(PlayerLimit.id))]
        self.caps = player.policy.caps_in(player.customer.currency)
        since = player.customer.created_at
        self.defaults = apply_policy(self.limits, player.policy, player.customer.currency, since=since, now=now)

    def save(self) -> None:
        """Write changed limits, ended ones first (a frame has at most one live limit). The caller holds the lock."""
        for limit in sorted(self.limits, key=lambda limit: (limit.id is None, limit.status in LIVE)):
            limit.customer_id = self.player.customer.id
            row = PlayerLimit() if limit.id is None else self._session.get_one(PlayerLimit, limit.id)
            for name in _LIMIT_FIELDS:
                if getattr(row, name) != getattr(limit, name):
                    setattr(row, name, getattr(limit, name))
            if limit.id is None:
                self._session.add(row)
                self._session.flush()
                limit.id = row.id
        live = any(limit.status in LIVE for limit in self.limits)
        if self.player.customer.limited != live:
            self.player.customer.limited = live

    @property
    def needs_confirmation(self) -> bool:
        """Whether a pending limit waits until the player confirms it."""
        return any(limit.status == PENDING and limit.needs_confirmation for limit in self.limits)

    def in_force(self) -> list[Limit]:
        """Return the limits in force: the player's own, the operator's, and defaults that apply."""
        return in_force(self.limits, self.defaults)

    def left_of(self, limit: Limit, usage: Usage) -> tuple[Bound, int]:
        """Return the bound of a limit on money that is in force, and what is left of it: negative if it is exceeded."""
        bound = bound_of(limit, self.player.brand, self.player.policy, now=self.now)
        return bound, bound.left(usage, self.player.customer.id, self.player.policy)

    def is_above_cap(self, requested: Limit | LimitChange) -> bool:
        """Return whether a pending or requested limit exceeds the operator's cap."""
        return is_above_cap(requested, self.limits, self.defaults, self.caps)

    def limits_after(self, requested: LimitChange) -> list[Limit]:
        """Return the limits of the type that would be in force once a change is in effect."""
        limits = limits_after([copy(limit) for limit in self.limits], requested, self._context(changed_by=PLAYER))
        return [limit for limit in in_force(limits, self.defaults) if limit.type == requested.type]

    def window_end(self, limit: Limit) -> datetime:
        """Return when the running window of a limit ends (UTC)."""
        if limit.frame == SESSION:
            return self.now
        window = window_at(limit.frame, self.now, self.player.brand, self.player.policy, anchored_at=limit.anchored_at)
        return window.end

    def change(self, limits: list[Limit], requested: LimitChange, *, changed_by: str) -> datetime | None:
        """Apply a change to `limits`, the current ones or a copy. Return when it takes effect; None means at once.

        Raises RefusedError (`above_cap`) for a limit above the operator's cap, and for the removal of one that the cap
        requires.
        """
        if self.is_above_cap(requested):
            cap = money.format_amount(self.caps[requested.type], self.player.customer.currency)
            raise RefusedError("above_cap", f"{requested.type}: a limit of at most {cap} is required")
        return change(limits, requested, self._context(changed_by=changed_by))

    def _context(self, *, changed_by: str) -> ChangeContext:
        return ChangeContext(self.defaults, self.player.policy, self.now, self.window_end, changed_by)

    def fingerprint(self) -> str:
        """Return a hash of the policy and limits that a quote is based on."""
        return fingerprint(self.player.brand.policy, *((limit.id, limit.status) for limit in self.limits))

    def enforced(self) -> EnforcedLimits:
        """Return the limits in force for bets and deposits, with their windows."""
        customer, limits = self.player.customer, [copy(limit) for limit in self.limits]
        return enforced_limits(
            customer.id,
            limits,
            self.player.brand,
            customer.currency,
            play=play_session_of(customer),
            now=self.now,
        )


_LIMIT_FIELDS = [field.name for field in fields(Limit)]


def usage_of(session: Session, player: Player, *, now: datetime) -> Usage:
    """Return the player's usage over the longest possible window."""
    return usage_of_players(session, [player], now=now)


def usage_of_players(session: Session, players: Sequence[Player], *, now: datetime) -> Usage:
    """Return the usage of players over the longest possible window, without reserved deposits that have expired."""
    brands = {player.customer.id: player.brand for player in players}
    since = {id_: usage_since(brand, now) for id_, brand in brands.items()}
    usage = Usage()
    usage.load(run(session.connection(), USAGE_SINCE(list(since.items()))), brands)
    begins = min((brands[id_].day_begins(day) for id_, day in since.items()), default=now)
    for reserve in _expired_reserves(session, brands, since=begins, now=now):
        day = brands[reserve.customer_id].booking_day(reserve.created_at)
        usage.release_deposit(reserve.customer_id, day, reserve.amount)
    return usage


def _expired_reserves(
    session: Session, customer_ids: Iterable[int], *, since: datetime, now: datetime
) -> Sequence[Row[int, datetime, int]]:
    """Return expired deposits that were reserved since an instant; they are judged by time, not by a stored status."""
    query = select(Payment.customer_id, Payment.created_at, Payment.amount).where(
        Payment.customer_id.in_(customer_ids),
        Payment.kind == "deposit",
        Payment.created_at >= since,
        Payment.expired(now=now),
    )
    return session.execute(query).all()


def set_reality_check(session: Session, player: Player, period: str, *, now: datetime) -> None:
    session.merge(RealityCheck(customer_id=player.customer.id, period=period, changed_at=now))


def swap(session: Session, current: CurrentLimits, ids: Sequence[int]) -> list[PlayerLimit]:
    """Activate pending limits whose cool-off is over, all or none. Idempotent. Return their rows.

    Raises RefusedError: `unknown_row`, `not_yet`, `above_cap`.
    """
    rows = [_own_row(session, current, id_) for id_ in ids]
    limits = {limit.id: limit for limit in current.limits}
    for row in rows:
        limit = limits.get(row.id)
        if limit is not None and limit.status == PENDING:
            _check_ready(limit, current)
            activate(current.limits, limit, at=current.now)
        elif not _is_swapped(session, row, limit):
            raise RefusedError("unknown_row", _UNKNOWN_ROW)
    current.save()
    return rows


def _check_ready(limit: Limit, current: CurrentLimits) -> None:
    if current.now < limit.effective_at:
        raise RefusedError("not_yet", f"row_id: the limit cannot be activated before {limit.effective_at.isoformat()}")
    if current.is_above_cap(limit):
        raise RefusedError("above_cap", "row_id: the limit is above the operator's cap")


def _is_swapped(session: Session, row: PlayerLimit, limit: Limit | None) -> bool:
    """Return whether a row was activated earlier, by swap or automatically, and has not been replaced since."""
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


def delete(session: Session, current: CurrentLimits, ids: Sequence[int]) -> None:
    """Cancel pending limits, all or none. Idempotent. Raises RefusedError (`unknown_row`)."""
    rows = [_own_row(session, current, id_) for id_ in ids]
    by_id = {limit.id: limit for limit in current.limits}
    pending = [by_id[row.id] for row in rows if row.id in by_id and by_id[row.id].status == PENDING]
    if len(pending) + sum(row.status == CANCELLED for row in rows) != len(rows):
        raise RefusedError("unknown_row", _UNKNOWN_ROW)
    for limit in pending:
        limit.end(CANCELLED, current.now)
    current.save()


def _limit(row: PlayerLimit) -> Limit:
    return Limit(**{name: getattr(row, name) for name in _LIMIT_FIELDS})


def _own_row(session: Session, current: CurrentLimits, id_: int) -> PlayerLimit:
    """Return a row of the player's own. The message is the same for unknown rows and for rows of other players."""
    row = session.get(PlayerLimit, id_)
    if row is None or row.customer_id != current.player.customer.id or row.set_by != PLAYER:
        raise RefusedError("unknown_row", _UNKNOWN_ROW)
    return row
