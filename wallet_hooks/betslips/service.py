"""Storing messages, and pruning betslips that ended."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from wallet_hooks.betslips.loading import choose_streamed, customers_named, lock_betslips, stored_messages
from wallet_hooks.betslips.messages import CLOSED, Message, message_of
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice
from wallet_hooks.betslips.saving import Arrival, save
from wallet_hooks.betslips.state import state_after
from wallet_hooks.customers.usernames import folded
from wallet_hooks.database import locked
from wallet_hooks.ledger.currencies import store_currencies

STALE = "stale"


def store_messages(
    session: Session, received: Sequence[tuple[Message, str]], scopes: Collection[tuple[int, str]], *, now: datetime
) -> None:
    """Store messages, each with its delivery's id, in their order, for each brand id and game of the scopes."""
    store_arrivals(
        session,
        [
            Arrival((*scope, message.betslip_id), message, delivery_id)
            for scope in sorted(scopes)
            for message, delivery_id in received
        ],
        now=now,
    )


def store_arrivals(session: Session, arrivals: Sequence[Arrival], *, now: datetime) -> None:
    """Store messages, each of one betslip of a brand and game, and the states that they leave."""
    if not arrivals:
        return
    connection = session.connection()
    betslips = lock_betslips(connection, {arrival.key for arrival in arrivals}, now=now)
    # Bounds are read again later, when the settings may not offer their currencies any more.
    store_currencies(connection, {currency for _, message, _ in arrivals for currency in message.bounds or ()})
    named = {(key[0], message.customer) for key, message, _ in arrivals if message.customer is not None}
    customers = customers_named(connection, named)
    for key, message, _ in arrivals:
        betslips[key].add(message, customer_id=customers.get((key[0], folded(message.customer or ""))))
    choose_streamed(connection, betslips.values())
    rebuilt = [betslip for betslip in betslips.values() if betslip.needs_rebuild]
    history = stored_messages(connection, rebuilt)
    for betslip in rebuilt:
        betslip.state = state_after([*history[betslip.id], *betslip.arrived])
    save(connection, betslips, arrivals, now=now)


def close_stale(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Close up to `at_most` open betslips that nothing changed for the retention. Return how many were closed."""
    old = Betslip.changed_at < now - timedelta(days=retention_days)
    stale = _locked(session, (old, Betslip.is_open.is_(True)), at_most)
    arrivals = [
        Arrival(
            (betslip.brand_id, betslip.game, betslip.betslip_id),
            message_of(CLOSED, None, {"betslip_id": betslip.betslip_id, "close_reason": STALE}),
            "",
        )
        for betslip in stale
    ]
    store_arrivals(session, arrivals, now=now)
    return len(stale)


def prune(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Delete up to `at_most` closed betslips that nothing changed for the retention. Return how many were deleted."""
    old = Betslip.changed_at < now - timedelta(days=retention_days)
    ended = [betslip.id for betslip in _locked(session, (old, Betslip.is_open.is_(False)), at_most)]
    for model in (BetslipMessage, BetslipPrice):
        session.execute(delete(model).where(model.betslip_id.in_(ended)))
    session.execute(delete(Betslip).where(Betslip.id.in_(ended)))
    return len(ended)


def _locked(session: Session, conditions: Iterable[ColumnElement[bool]], at_most: int) -> Sequence[Betslip]:
    """Lock betslips in the order of their keys, as requests do, and return those that still meet the conditions."""
    query = select(Betslip).where(*conditions).order_by(Betslip.brand_id, Betslip.game, Betslip.betslip_id)
    return session.scalars(locked(query.limit(at_most), Betslip)).all()
