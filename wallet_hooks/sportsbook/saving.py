"""Write the changes of a group of callbacks, in a number of statements independent of the group's size."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import Connection

from wallet_hooks.customers.play_sessions import PlaySessionRow, add_play_sessions
from wallet_hooks.database.bulk import RowSet, insert_rows, update_rows
from wallet_hooks.database.writes import Writes
from wallet_hooks.deliveries.service import DeliveryRow, add_deliveries
from wallet_hooks.exceptions.service import ResolvedBet, add_bet_exceptions, add_resolutions
from wallet_hooks.ledger.service import JournalWriter
from wallet_hooks.sportsbook.messages import Answer, Callback
from wallet_hooks.sportsbook.models import CHANGEABLE, EarlyCancel, EarlySettlement, Wager
from wallet_hooks.sportsbook.state import BettingState, EarlyOutcome


class EarlyCancelRow(NamedTuple):
    """A cancel that arrived before its bet."""

    game: str
    client: str
    uid: str
    user_uid: str
    cancelled_at: datetime


_columns = Wager.__table__.columns
_created = RowSet("created", *_columns)
_CREATE_WAGERS = insert_rows(_created, Wager)
_changed = RowSet("changed", *(one for one in _columns if one.primary_key or one.info.get(CHANGEABLE)))
_CHANGE_WAGERS = update_rows(_changed, Wager)
_cancelled = RowSet.of("cancelled", EarlyCancel, EarlyCancelRow)
_INSERT_EARLY_CANCELS = insert_rows(_cancelled, EarlyCancel, skip_existing=True)
_refused_early = RowSet.of("refused", EarlySettlement, EarlyOutcome)
_INSERT_EARLY_SETTLEMENTS = insert_rows(_refused_early, EarlySettlement, skip_existing=True)
_values_of_created = attrgetter(*_created.names)
_values_of_changed = attrgetter(*_changed.names)


def save(connection: Connection, state: BettingState, callbacks: Sequence[tuple[Callback, Answer, int]] = ()) -> None:
    """Write the decisions' changes, and the callbacks with their answers and durations in microseconds.

    Missing accounts are created first; everything else is one set of writes, the last of the transaction.
    """
    _run_with_deliveries(connection, changes_of(connection, state), callbacks)


def changes_of(connection: Connection, state: BettingState) -> Writes:
    """Return the writes of the decisions' changes; missing accounts are created here."""
    changes, writes, now = state.changes, Writes(), state.now
    JournalWriter(connection, state.journal).add_to(writes)
    writes.add(_CREATE_WAGERS([_values_of_created(wager) for wager in changes.created.values()]))
    changed = (wager for key, wager in changes.changed.items() if key not in changes.created)
    writes.add(_CHANGE_WAGERS([_values_of_changed(wager) for wager in changed]))
    writes.add(_INSERT_EARLY_CANCELS([EarlyCancelRow(*key, user_uid, now) for key, user_uid in changes.early_cancels]))
    writes.add(_INSERT_EARLY_SETTLEMENTS(changes.early_settlements))
    add_bet_exceptions(writes, changes.exceptions)
    add_resolutions(writes, (ResolvedBet(*key, now) for key in changes.settled_first))
    state.usage.add_to(writes)
    began = sorted(changes.play_sessions.items())
    add_play_sessions(writes, (PlaySessionRow(customer_id, instant, now) for customer_id, instant in began))
    return writes


def save_deliveries(connection: Connection, callbacks: Sequence[tuple[Callback, Answer, int]]) -> None:
    """Write callbacks with their answers and durations in microseconds, as the last writes of the transaction."""
    _run_with_deliveries(connection, Writes(), callbacks)


def _run_with_deliveries(
    connection: Connection, writes: Writes, callbacks: Sequence[tuple[Callback, Answer, int]]
) -> None:
    add_deliveries(writes, [_delivery(*one) for one in callbacks])
    writes.run_last(connection)


def _delivery(callback: Callback, answer: Answer, duration_us: int) -> tuple[DeliveryRow, list[str]]:
    row = DeliveryRow(
        callback.id,
        callback.path,
        callback.received_at,
        callback.source,
        callback.body,
        answer.status,
        answer.body,
        duration_us,
    )
    return row, [str(bet.key) for bet in callback.request.bets]
