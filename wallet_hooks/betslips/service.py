"""Storing messages, and pruning betslips that ended."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.betslips.loading import customers_named, lock_betslips, stored_messages
from wallet_hooks.betslips.messages import CLOSED, Message, message_of
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice
from wallet_hooks.betslips.saving import ArrivedMessage, save
from wallet_hooks.betslips.state import fold
from wallet_hooks.customers.usernames import folded
from wallet_hooks.database import locked

STALE = "stale"


def store_messages(
    session: Session, received: Sequence[tuple[Message, str]], places: Collection[tuple[int, str]], *, now: datetime
) -> None:
    """Store messages, each with its delivery's id, for each brand id and game that they are meant for, in their order.

    A customer's stream gets each message once: for the first of the games of its brand.
    """
    keys = sorted({(*place, message.betslip_id) for place in places for message, _ in received})
    if not keys:
        return
    connection = session.connection()
    betslips = lock_betslips(connection, keys, now=now)
    named = ((brand_id, message.customer) for brand_id, _ in places for message, _ in received if message.customer)
    customers = customers_named(connection, named)
    arrived = []
    for place in sorted(places):
        for message, delivery_id in received:
            betslip = betslips[*place, message.betslip_id]
            betslip.add(message, customer_id=customers.get((betslip.brand_id, folded(message.customer or ""))))
            arrived.append(ArrivedMessage(betslip, message, delivery_id))
    history = stored_messages(connection, [betslip for betslip in betslips.values() if betslip.is_folded])
    for betslip in betslips.values():
        if betslip.is_folded:
            betslip.state = fold([*history[betslip.id], *betslip.arrived])
    save(connection, betslips.values(), arrived, now=now)


def close_stale(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Close up to `at_most` open betslips that nothing changed for the retention. Return how many were closed."""
    query = select(Betslip).where(Betslip.changed_at < now - timedelta(days=retention_days), Betslip.is_open)
    order = (Betslip.brand_id, Betslip.game, Betslip.betslip_id)
    stale = session.scalars(locked(query.order_by(*order).limit(at_most), Betslip)).all()
    for place, betslips in groupby(stale, key=lambda betslip: (betslip.brand_id, betslip.game)):
        bodies = ({"betslip_id": betslip.betslip_id, "close_reason": STALE} for betslip in betslips)
        store_messages(session, [(message_of(CLOSED, None, body), "") for body in bodies], [place], now=now)
    return len(stale)


def prune(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Delete up to `at_most` closed betslips that nothing changed for the retention. Return how many were deleted."""
    old = Betslip.changed_at < now - timedelta(days=retention_days)
    ended = list(session.scalars(select(Betslip.id).where(old, ~Betslip.is_open).limit(at_most)))
    for model in (BetslipMessage, BetslipPrice):
        session.execute(delete(model).where(model.betslip_id.in_(ended)))
    session.execute(delete(Betslip).where(Betslip.id.in_(ended)))
    return len(ended)
