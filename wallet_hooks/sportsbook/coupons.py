"""Coupons and the events that they are about: what `max_stake_per_event` counts."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from wallet_hooks.database.bulk import BulkStatement, RowSet
from wallet_hooks.errors import RefusedError
from wallet_hooks.sportsbook.models import CouponEvent, Wager


class EventKey(NamedTuple):
    """What stakes count on. A coupon that no map knows is an event of its own."""

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


_asked = RowSet("asked", Wager.customer_id, Wager.game, Wager.pool_uid)
_other = aliased(CouponEvent, name="other")
# Settled or not: only a stake that was returned makes room.
_IS_STAKED = (
    Wager.cost.is_not(None) & Wager.status.in_(["open", "settled"]) & (func.coalesce(Wager.outcome, "") != "void")
)
_OWN = select(func.sum(Wager.cost)).where(
    Wager.customer_id == _asked.c.customer_id,
    Wager.pool_uid == _asked.c.pool_uid,
    Wager.game == _asked.c.game,
    _IS_STAKED,
)
_OTHERS = (
    select(func.sum(Wager.cost))
    .join(_other, (_other.pool_uid == Wager.pool_uid) & (_other.game == Wager.game))
    .where(
        _other.game == CouponEvent.game,
        _other.event == CouponEvent.event,
        _other.pool_uid != _asked.c.pool_uid,
        Wager.customer_id == _asked.c.customer_id,
        _IS_STAKED,
    )
)
STAKES_ON_EVENTS = BulkStatement(
    _asked,
    lambda _: select(
        *_asked.c,
        CouponEvent.event,
        _OWN.scalar_subquery().correlate(_asked).label("own"),
        _OTHERS.scalar_subquery().correlate(_asked, CouponEvent).label("others"),
    ).select_from(
        _asked.outerjoin(CouponEvent, (CouponEvent.game == _asked.c.game) & (CouponEvent.pool_uid == _asked.c.pool_uid))
    ),
    row=StakesOnCoupon,
)


class StakesOnEvents:
    """What customers with a limit per event have staked on the events that a group's bets are about."""

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
        """Count a stake, or with a negative cost one that was returned."""
        self._stakes[event] = self.staked(event) + cost


def map_events(session: Session, rows: Iterable[Sequence[Any]]) -> int:
    """Store (game, coupon, event) rows, replacing what was said of a coupon before. Raises RefusedError for a bad row.

    Bets that commit after it see it; stakes that were taken before are counted anew.
    """
    count = 0
    for count, row in enumerate(rows, start=1):
        if len(row) != 3 or not all(0 < len(text) <= 64 and text.isprintable() for text in row):
            raise RefusedError("bad_row", f"row {count}: three columns of 1 to 64 printable characters are expected")
        session.merge(CouponEvent(game=row[0], pool_uid=row[1], event=row[2]))
    return count
