"""Stores callbacks, and deletes them after their retention."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import RowSet, insert_rows
from wallet_hooks.database.writes import Writes
from wallet_hooks.deliveries.models import Delivery, DeliveryBet


class DeliveryRow(NamedTuple):
    """A callback and its answer: a row of `models.Delivery`. `id` is 32 hex digits."""

    id: str
    path: str
    received_at: datetime
    source: str
    body: bytes
    status: int
    answer: str
    duration_us: int


class DeliveryBetRow(NamedTuple):
    """A bet (`game:client:uid`) that a delivery names: a row of `models.DeliveryBet`."""

    bet: str
    delivery_id: str


_received = RowSet.of("received", Delivery, DeliveryRow)
_INSERT_DELIVERIES = insert_rows(_received, Delivery)
_named = RowSet.of("named", DeliveryBet, DeliveryBetRow)
_INSERT_BETS = insert_rows(_named, DeliveryBet)


def add_deliveries(writes: Writes, received: Sequence[tuple[DeliveryRow, Sequence[str]]]) -> None:
    """Add inserts of deliveries and of the bets that each names. At most two statements, however many rows."""
    if not received:
        return
    writes.add(_INSERT_DELIVERIES([delivery for delivery, _ in received]))
    if links := [DeliveryBetRow(bet, delivery.id) for delivery, bets in received for bet in dict.fromkeys(bets)]:
        writes.add(_INSERT_BETS(links))


def prune(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Delete up to `at_most` deliveries older than the retention. Return how many were deleted.

    Those that another process is deleting are left to it.
    """
    old = select(Delivery.id).where(Delivery.received_at < now - timedelta(days=retention_days)).limit(at_most)
    ids = list(session.scalars(old.with_for_update(skip_locked=True)))
    session.execute(delete(DeliveryBet).where(DeliveryBet.delivery_id.in_(ids)))
    session.execute(delete(Delivery).where(Delivery.id.in_(ids)))
    return len(ids)
