"""Raise, list and resolve exceptions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, literal, select, update
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import BulkStatement, RowSet, insert_rows
from wallet_hooks.database.writes import Writes
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.exceptions.models import CallbackException

_BET_SETTLED_REASON = "the bet came and was settled"


class BetExceptionRow(NamedTuple):
    """An exception about a bet, with the columns of `models.CallbackException`."""

    kind: str
    game: str
    client: str
    bet_uid: str
    subject: str
    delivery_id: str | None
    raised_at: datetime


class ResolvedBet(NamedTuple):
    """A bet that was settled for the first time; `resolved_at` is when."""

    game: str
    client: str
    bet_uid: str
    resolved_at: datetime


_raised = RowSet.of("raised", CallbackException, BetExceptionRow)
_RAISE = insert_rows(_raised, CallbackException, skip_existing=True)
_settled = RowSet.of("settled", CallbackException, ResolvedBet)
_RESOLVE_UNKNOWN: BulkStatement[Any] = BulkStatement(
    _settled,
    lambda _: (
        update(CallbackException)
        .where(
            *(getattr(CallbackException, name) == _settled.c[name] for name in ("game", "client", "bet_uid")),
            CallbackException.kind == "unknown_bet",
            CallbackException.resolved_at.is_(None),
        )
        .values(resolved_at=_settled.c.resolved_at, reason=literal(_BET_SETTLED_REASON))
    ),
)


def add_bet_exceptions(writes: Writes, rows: Iterable[BetExceptionRow]) -> None:
    """Raise exceptions about bets, once for each kind, bet and subject."""
    writes.add(_RAISE(list(rows)))


def add_resolutions(writes: Writes, bets: Iterable[ResolvedBet]) -> None:
    """Resolve the exceptions `unknown_bet` (settlement before its bet) of bets that were settled now."""
    writes.add(_RESOLVE_UNKNOWN(list(bets)))


def raise_for_payment(
    session: Session, kind: str, *, client: str, payment_id: int, reference: str, now: datetime
) -> None:
    """Raise an exception about a payment of the brand `client`. A payment has at most one exception of each kind."""
    session.add(CallbackException(kind=kind, client=client, payment_id=payment_id, subject=reference, raised_at=now))


def list_exceptions(session: Session, *, include_resolved: bool) -> list[dict[str, Any]]:
    """Return exceptions as dictionaries, oldest first."""
    return [exception_row(row) for row in session.scalars(exceptions_query(include_resolved=include_resolved))]


def exceptions_query(*, include_resolved: bool) -> Select[CallbackException]:
    """Return the query of all exceptions, or of the open ones, oldest first."""
    query = select(CallbackException).order_by(CallbackException.id)
    return query if include_resolved else query.where(CallbackException.resolved_at.is_(None))


def exception_row(row: CallbackException) -> dict[str, Any]:
    """Return an exception as the commands print it, instants in ISO 8601."""
    return {
        "id": row.id,
        "kind": row.kind,
        "brand": row.client,
        "game": row.game,
        "bet": row.bet_uid,
        "payment": row.payment_id,
        "subject": row.subject,
        "delivery": row.delivery_id.hex if row.delivery_id else None,
        "raised_at": row.raised_at.isoformat(),
        "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None,
        "reason": row.reason,
    }


def resolve_exception(session: Session, id_: int, *, reason: str, now: datetime, by: str | None = None) -> None:
    """Resolve an exception. Raises NotFoundError, or RefusedError (`resolved`) if it was resolved before."""
    row = session.scalar(select(CallbackException).where(CallbackException.id == id_).with_for_update())
    if row is None:
        raise NotFoundError(f"no exception {id_}")
    if row.resolved_at is not None:
        raise RefusedError("resolved", f"exception {id_} is resolved already: {row.reason}")
    row.resolved_at, row.reason, row.resolved_by = now, reason, by
