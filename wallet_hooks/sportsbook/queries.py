"""Reading wagers."""

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.deliveries.queries import deliveries_of
from wallet_hooks.exceptions.models import CallbackException
from wallet_hooks.exceptions.service import exception_row
from wallet_hooks.ledger.queries import transactions_with
from wallet_hooks.money import format_amount
from wallet_hooks.sportsbook.messages import BetKey, step_reference, unknown_wager
from wallet_hooks.sportsbook.models import EarlyCancel, Wager


def wager_by_key(session: Session, key: BetKey) -> Wager:
    """Return a wager; for a bet that was cancelled before it arrived, the facts of the cancel. Raises NotFoundError."""
    wager = session.get(Wager, tuple(key))
    if wager is not None:
        return wager
    early = select(EarlyCancel).where(
        EarlyCancel.game == key.game, EarlyCancel.client == key.client, EarlyCancel.uid == key.uid
    )
    cancelled = session.scalars(early.order_by(EarlyCancel.cancelled_at).limit(1)).one_or_none()
    if cancelled is None:
        raise unknown_wager(key)
    at = cancelled.cancelled_at
    return Wager(
        **key._asdict(), user_uid=cancelled.user_uid, status="cancelled", placed_at=at, closed_at=at, settlements=0
    )


def wager_reference(step: str | ColumnElement[str]) -> ColumnElement[str]:
    """Return the SQL expression of `BetStep.reference` for a wager's step, by its name."""
    found: ColumnElement[str] = step_reference(Wager.game, Wager.client, Wager.uid, step)
    return found


def wager_facts(wager: Wager) -> dict[str, Any]:
    """Return what a wager's row says. Amounts are decimal strings, instants ISO 8601 in UTC."""
    return {
        "brand": wager.client,
        "game": wager.game,
        "uid": wager.uid,
        "user": wager.user_uid,
        "status": wager.status,
        "refusal": wager.refusal,
        "pool": wager.pool_uid,
        "currency": wager.currency,
        "stake": _amount(wager.stake, wager.currency),
        "cost": _amount(wager.cost, wager.home_currency),
        "home_currency": wager.home_currency,
        "rate": wager.rate,
        "commission_rate": wager.commission_rate,
        "possible_payout": _amount(wager.possible_payout, wager.currency),
        "ip": wager.ip,
        "payout": _amount(wager.payout, wager.currency),
        "result": wager.result,
        "placed_at": wager.placed_at.isoformat(),
        "closed_at": wager.closed_at.isoformat() if wager.closed_at else None,
    }


def history(session: Session, wager: Wager) -> dict[str, Any]:
    """Return a wager's history: its facts, transactions, the deliveries that named it, and exceptions."""
    key = BetKey(wager.game, wager.client, wager.uid)
    found = transactions_with(session, references=key.references(wager.settlements))
    return {
        **wager_facts(wager),
        "transactions": [_transaction(item) for item in found],
        "deliveries": [_delivery(delivery) for delivery in deliveries_of(session, bet=str(key))],
        "exceptions": [exception_row(row) for row in exceptions_of(session, key)],
    }


def exceptions_of(session: Session, key: BetKey) -> list[CallbackException]:
    """Return the exceptions that were raised about a bet, the oldest first."""
    own = (CallbackException.game == key.game, CallbackException.client == key.client)
    query = select(CallbackException).where(*own, CallbackException.bet_uid == key.uid)
    return list(session.scalars(query.order_by(CallbackException.id)))


def _transaction(item: dict[str, Any]) -> dict[str, Any]:
    transaction = item["transaction"]
    return {
        "id": transaction.id,
        "kind": transaction.kind,
        "reference": transaction.reference,
        "booked_on": transaction.booked_on.isoformat(),
        "recorded_at": transaction.recorded_at.isoformat(),
        "reverses": transaction.reverses_id,
        "entries": [
            {
                "account": entry["account"],
                "currency": entry["currency"],
                "amount": format_amount(entry["amount"], entry["currency"]),
                "balance_after": _amount(entry["balance_after"], entry["currency"]),
            }
            for entry in item["entries"]
        ],
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id.hex,
        "path": delivery.path,
        "received_at": delivery.received_at.isoformat(),
        "source": delivery.source,
        "status": delivery.status,
        "answer": delivery.answer,
        "duration_ms": delivery.duration_us / 1000,
    }


def _amount(minor: int | None, currency: str | None) -> str | None:
    return None if minor is None or currency is None else format_amount(minor, currency)
