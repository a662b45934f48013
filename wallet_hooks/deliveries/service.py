"""Storing callbacks, and deleting them when their retention is over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import RowSet, Writes, insert_rows
from wallet_hooks.deliveries.models import Delivery, DeliveryBet


class DeliveryRow(NamedTuple):
    """A callback with its answer, as `models.Delivery` keeps it. `id` is 32 hex digits."""

    id: str
    path: str
    received_at: datetime
    source: str
    body: bytes
    status: int
    answer: str
    duration_us: int


class NamedBet(NamedTuple):
    """A bet (`game:client:uid`) that a delivery names."""

    bet: str
    delivery_id: str


_received = RowSet.of("received", Delivery, DeliveryRow)
_INSERT_DELIVERIES = insert_rows(_received, Delivery)
_named = RowSet.of("named", DeliveryBet, NamedBet)
_INSERT_BETS = insert_rows(_named, DeliveryBet)


def add_deliveries(writes: Writes, received: Sequence[tuple[DeliveryRow, Sequence[str]]]) -> None:
    """Store deliveries, each with the bets that it names, in a number of statements that does not depend on them."""
    if not received:
        return
    writes.add(_INSERT_DELIVERIES([delivery for delivery, _ in received]))
    if links := [NamedBet(bet, delivery.id) for delivery, bets in received for bet in dict.fromkeys(bets)]:
        writes.add(_INSERT_BETS(links))


def prune(session: Session, *, now: datetime, retention_days: int, at_most: int) -> int:
    """Delete up to `at_most` deliveries older than the retention. Returns how many there were."""
    old = select(Delivery.id).where(Delivery.received_at < now - timedelta(days=retention_days)).limit(at_most)
    ids = list(session.scalars(old))
    session.execute(delete(DeliveryBet).where(DeliveryBet.delivery_id.in_(ids)))
    session.execute(delete(Delivery).where(Delivery.id.in_(ids)))
    return len(ids)
