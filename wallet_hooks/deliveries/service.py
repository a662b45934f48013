"""Storing callbacks, and forgetting them when their time is over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.database import Call, RowStatement
from wallet_hooks.deliveries.models import Delivery, DeliveryBet

_INSERT_DELIVERIES = RowStatement(
    "INSERT INTO delivery (id, path, received_at, source, body, status, answer, duration_us) SELECT * FROM {received}",
    received={
        "id": "uuid",
        "path": "text",
        "received_at": "timestamptz",
        "source": "text",
        "body": "bytea",
        "status": "smallint",
        "answer": "text",
        "duration_us": "integer",
    },
)
_INSERT_BETS = RowStatement(
    "INSERT INTO delivery_bet (bet, delivery_id) SELECT bet, delivery_id FROM {named}",
    named={"bet": "text", "delivery_id": "uuid"},
)


class Received(NamedTuple):
    """A callback with its answer, as it is stored. `id` is 32 hex digits; `bets` are the keys of the bets it names."""

    id: str
    path: str
    received_at: datetime
    source: str
    body: bytes
    status: int
    answer: str
    duration_us: int
    bets: Sequence[str]


def records(received: Sequence[Received]) -> list[Call]:
    """The calls that store deliveries, in a number that does not depend on how many there are."""
    links = [(bet, delivery.id) for delivery in received for bet in dict.fromkeys(delivery.bets)]
    stored = [_INSERT_DELIVERIES([delivery[:-1] for delivery in received])]
    return [*stored, _INSERT_BETS(links)] if links else stored


def forget(session: Session, *, now: datetime, retention_days: int, at_most: int) -> int:
    """Delete up to `at_most` deliveries older than the retention. Returns how many there were."""
    old = select(Delivery.id).where(Delivery.received_at < now - timedelta(days=retention_days)).limit(at_most)
    ids = list(session.scalars(old))
    session.execute(delete(DeliveryBet).where(DeliveryBet.delivery_id.in_(ids)))
    session.execute(delete(Delivery).where(Delivery.id.in_(ids)))
    return len(ids)
