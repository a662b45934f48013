"""Storing messages, and pruning betslips that ended."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from wallet_hooks.betslips.bounds import bounds_of
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage
from wallet_hooks.betslips.queries import states_of
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.usernames import has_username
from wallet_hooks.web.strict_json import Number, write_json

STALE = "stale"


def store_messages(
    session: Session,
    messages: Sequence[Message],
    places: Collection[tuple[int, str]],
    *,
    delivery_id: str,
    now: datetime,
) -> None:
    """Store messages for each brand id and game that they are meant for, in their order."""
    for brand_id, game in sorted(places):
        ids = sorted({message.betslip_id for message in messages})
        betslips = _lock_or_create(session, brand_id, game, ids, now=now)
        for message in messages:
            betslip = betslips[message.betslip_id]
            session.add(
                BetslipMessage(
                    betslip_id=betslip.id,
                    type=message.type,
                    ts=None if message.ts is None else str(message.ts),
                    body=write_json(message.body),
                    received_at=now,
                    delivery_id=delivery_id,
                )
            )
            betslip.changed_at = now
            if message.type == BETSLIP and betslip.customer_id is None:
                betslip.customer_id = _customer_id(session, brand_id, message)
        session.flush()
        states = states_of(session, betslips.values())
        for betslip in betslips.values():
            state = states[betslip.id]
            betslip.is_open, betslip.bounds = state.is_open, bounds_of(state.prices.values())
    session.flush()


def prune(session: Session, at_most: int, *, now: datetime, retention_days: int) -> int:
    """Close open betslips that nothing touched for the retention, and delete closed ones that are older.

    Return how many were deleted, at most `at_most`.
    """
    old = Betslip.changed_at < now - timedelta(days=retention_days)
    stale = list(session.scalars(select(Betslip.id).where(old, Betslip.is_open).limit(at_most)))
    for id_ in stale:
        body = write_json({"close_reason": STALE})
        session.add(BetslipMessage(betslip_id=id_, type=CLOSED, ts=None, body=body, received_at=now, delivery_id=""))
    session.execute(update(Betslip).where(Betslip.id.in_(stale)).values(is_open=False, changed_at=now))
    ended = list(session.scalars(select(Betslip.id).where(old, ~Betslip.is_open).limit(at_most)))
    session.execute(delete(BetslipMessage).where(BetslipMessage.betslip_id.in_(ended)))
    session.execute(delete(Betslip).where(Betslip.id.in_(ended)))
    return len(ended)


def _lock_or_create(
    session: Session, brand_id: int, game: str, ids: Sequence[str], *, now: datetime
) -> dict[str, Betslip]:
    """Return the betslips by their ids, locked in the order of these."""
    query = select(Betslip).where(Betslip.brand_id == brand_id, Betslip.game == game, Betslip.betslip_id.in_(ids))
    found = {one.betslip_id: one for one in session.scalars(query.order_by(Betslip.betslip_id).with_for_update())}
    new = [
        Betslip(brand_id=brand_id, game=game, betslip_id=id_, is_open=True, created_at=now, changed_at=now)
        for id_ in ids
        if id_ not in found
    ]
    session.add_all(new)
    session.flush()
    return found | {one.betslip_id: one for one in new}


def _customer_id(session: Session, brand_id: int, message: Message) -> int | None:
    username = message.body.get("customer_username")
    if not isinstance(username, str) or type(username) is Number:
        return None
    return session.scalar(select(Customer.id).where(Customer.brand_id == brand_id, has_username(username)))
