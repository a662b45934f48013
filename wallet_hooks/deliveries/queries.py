"""Queries for stored callbacks."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.orm import Session, defer

from wallet_hooks.database.bulk import RowSet, find_rows
from wallet_hooks.deliveries.models import Delivery, DeliveryBet


class StoredAnswer(NamedTuple):
    """The answer to a callback. `id` is 32 hex digits."""

    id: str
    status: int
    answer: str


_ids = RowSet("requested", Delivery.id)
STORED_ANSWERS = find_rows(_ids, Delivery, StoredAnswer)


class Decision(NamedTuple):
    """A callback that names a bet (`game:client:uid`), and how it was answered; instants in UTC."""

    bet: str
    id: UUID
    path: str
    received_at: datetime
    duration_us: int
    status: int
    answer: str


def decision_order(session: Session) -> ColumnElement[int]:
    """Return the SQL expression by which deliveries are in the order in which they were decided: that of their rows."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return literal_column("delivery.sequence" if is_postgresql else "delivery.rowid")


def decisions_about(session: Session, bets: Sequence[str]) -> Iterator[Decision]:
    """Yield the callbacks that name any of the bets, once for each of these, in the order of their decisions."""
    columns = (getattr(Delivery, name) for name in Decision._fields[1:])
    query = select(DeliveryBet.bet, *columns).join(DeliveryBet, DeliveryBet.delivery_id == Delivery.id)
    rows = session.execute(query.where(DeliveryBet.bet.in_(bets)).order_by(decision_order(session)))
    return (Decision(*row) for row in rows)


def bets_named_by(session: Session, delivery_id: UUID) -> Sequence[str]:
    """Return the bets that a callback names."""
    return session.scalars(select(DeliveryBet.bet).where(DeliveryBet.delivery_id == delivery_id)).all()


def deliveries_of(session: Session, *, bet: str) -> Sequence[Delivery]:
    """Return all callbacks that name the bet (`game:client:uid`), without bodies, in the order of their receipt."""
    naming = select(DeliveryBet.delivery_id).where(DeliveryBet.bet == bet)
    query = select(Delivery).options(defer(Delivery.body, raiseload=True)).where(Delivery.id.in_(naming))
    return session.scalars(query.order_by(Delivery.id)).all()
