"""Coupons and their events: the stakes that `max_stake_per_event` adds up."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from wallet_hooks.database.bulk import BulkStatement, RowSet
from wallet_hooks.sportsbook.messages import VOID
from wallet_hooks.sportsbook.models import CouponEvent, Wager


class EventKey(NamedTuple):
    """The event that a stake counts against. A coupon that is not mapped to an event is its own event."""

    customer_id: int
    game: str
    event: str


class StakesOnCoupon(NamedTuple):
    """A customer's stakes on a coupon (`own`) and on the other coupons of its event, in minor units of its currency."""

    customer_id: int
    game: str
    pool_uid: str
    event: str | None
    own: int | None
    others: int | None


_requested = RowSet("requested", Wager.customer_id, Wager.game, Wager.pool_uid)
_other = aliased(CouponEvent, name="other")
# Settled stakes count too; only a returned stake no longer does.
_IS_STAKED = (
    Wager.cost.is_not(None) & Wager.status.in_(["open", "settled"]) & (func.coalesce(Wager.outcome, "") != VOID)
)
_OWN = select(func.sum(Wager.cost)).where(
    Wager.customer_id == _requested.c.customer_id,
    Wager.pool_uid == _requested.c.pool_uid,
    Wager.game == _requested.c.game,
    _IS_STAKED,
)
_OTHERS = (
    select(func.sum(Wager.cost))
    .join(_other, (_other.pool_uid == Wager.pool_uid) & (_other.game == Wager.game))
    .where(
        _other.game == CouponEvent.game,
        _other.event == CouponEvent.event,
        _other.pool_uid != _requested.c.pool_uid,
        Wager.customer_id == _requested.c.customer_id,
        _IS_STAKED,
    )
)
STAKES_ON_EVENTS = BulkStatement(
    _requested,
    lambda _: select(
        *_requested.c,
        CouponEvent.event,
        _OWN.scalar_subquery().correlate(_requested).label("own"),
        _OTHERS.scalar_subquery().correlate(_requested, CouponEvent).label("others"),
    ).select_from(
        _requested.outerjoin(
            CouponEvent, (CouponEvent.game == _requested.c.game) & (CouponEvent.pool_uid == _requested.c.pool_uid)
        )
    ),
    row=StakesOnCoupon,
)


class StakesOnEvents:
    """The stakes of customers with a limit per event, on the events of the group's bets."""

    def __init__(self, rows: Iterable[StakesOnCoupon] = ()) -> None:
        self._events: dict[tuple[str, str], str] = {}
        self._stakes: dict[EventKey, int] = {}
        for row in rows:
            if row.event is not None:
                self._events[row.game, row.pool_uid] = f"event:{row.event}"
            event = self.event_of(row.customer_id, row.game, row.pool_uid)
            self._stakes[event] = int(row.own or 0) + int(row.others or 0)

    def event_of(self, customer_id: int, game: str, pool_uid: str) -> EventKey:
        return EventKey(customer_id, game, self._events.get((game, pool_uid), f"coupon:{pool_uid}"))

    def staked(self, event: EventKey) -> int:
        return self._stakes.get(event, 0)

    def add(self, event: EventKey, cost: int) -> None:
        """Add a stake; a negative cost removes a returned one."""
        self._stakes[event] = self.staked(event) + cost
