"""Queries for stored callbacks."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import RowSet, find_rows
from wallet_hooks.deliveries.models import Delivery, DeliveryBet


class StoredAnswer(NamedTuple):
    """The answer to a callback. `id` is 32 hex digits."""

    id: str
    status: int
    answer: str


_ids = RowSet("requested", Delivery.id)
STORED_ANSWERS = find_rows(_ids, Delivery, StoredAnswer)


def deliveries_of(session: Session, *, bet: str) -> Sequence[Delivery]:
    """Return all callbacks that name the bet (`game:client:uid`), in the order in which they were received."""
    naming = select(DeliveryBet.delivery_id).where(DeliveryBet.bet == bet)
    return session.scalars(select(Delivery).where(Delivery.id.in_(naming)).order_by(Delivery.id)).all()
