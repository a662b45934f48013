"""Writes the ledger: the only code that stores accounts, transactions and entries."""

import time
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Sequence,
    case,
    column,
    func,
    null,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session

from wallet_hooks.database import connection_cache
from wallet_hooks.database.bulk import BulkCall, BulkStatement, RowSet, insert_rows, pipeline, run, unique_key
from wallet_hooks.database.writes import Writes
from wallet_hooks.errors import ConflictError
from wallet_hooks.ledger.currencies import store_currencies
from wallet_hooks.ledger.journal import AccountName, HeldAccount, Journal, Posting, TransactionRow
from wallet_hooks.ledger.models import Account, Entry, Period, Transaction
from wallet_hooks.ledger.queries import ACCOUNT_IDS, HELD_ACCOUNTS, held_accounts

_WATCHED = 0.1  # seconds in which callbacks under load post transactions


class ReservedId(NamedTuple):
    """A transaction id that is given out once."""

    id: int


class LastClosed(NamedTuple):
    """The last closed day."""

    day: date | None


class EntryRow(NamedTuple):
    """A row of `models.Entry`."""

    transaction_id: int
    line: int
    account_id: int
    currency: str
    amount: int
    balance_after: int | None
    version: int | None


class BalanceRow(NamedTuple):
    """The new balance and version of a customer's account; `version_read` must still be its stored version."""

    id: int
    balance: int
    version: int
    version_read: int


class MovedAccount(NamedTuple):
    """A customer's account whose balance was changed."""

    id: int


_opened = RowSet("opened", Account.name, Account.currency, Account.kind, Account.holder_id)
_is_house = _opened.c.holder_id.is_(None)
_OPEN_ACCOUNTS: BulkStatement[Any] = BulkStatement(
    _opened,
    lambda dialect: (
        dialect.insert(Account)
        .from_select(
            [*_opened.names, "balance", "version"],
            select(*_opened.c, case((_is_house, null()), else_=0), case((_is_house, null()), else_=0)).where(true()),
        )
        .on_conflict_do_nothing(index_elements=unique_key(Account))
    ),
)
# Ids are reserved before the bets are decided, in the same round trip as the reads. PostgreSQL has a sequence, and the
# statement no table: on Citus it would run on a node, whose numbers follow no order with those of other nodes. SQLite
# has one writer, so its ids continue from the highest one.
_numbers = RowSet("requested", column("number", BigInteger))
_ID = Sequence("ledger_transaction_id")


def _next_id(dialect: Any) -> Any:
    if dialect.__name__.endswith("postgresql"):
        return _ID.next_value()
    return _numbers.c.number + select(func.coalesce(func.max(Transaction.id), 0)).scalar_subquery()


_RESERVE_IDS = BulkStatement(
    _numbers,
    lambda dialect: select(_next_id(dialect).label("id")).select_from(_numbers),
    row=ReservedId,
)
_LAST_CLOSED = BulkStatement(
    _numbers,
    lambda _: select(select(func.max(Period.day)).scalar_subquery().label("day")).select_from(_numbers),
    row=LastClosed,
)
_posted = RowSet.of("posted", Transaction, TransactionRow)
_INSERT_TRANSACTIONS = insert_rows(_posted, Transaction)
_entered = RowSet.of("entered", Entry, EntryRow)
_INSERT_ENTRIES = insert_rows(_entered, Entry)
_moved = RowSet.of("moved", Account, BalanceRow, version_read=Account.version)
_MOVE_BALANCES = BulkStatement(
    _moved,
    lambda _: (
        update(Account)
        .where(Account.id == _moved.c.id, Account.version == _moved.c.version_read)
        .values(balance=_moved.c.balance, version=_moved.c.version)
        .returning(Account.id)
    ),
    row=MovedAccount,
)


def reserve_ids(*, count: int) -> BulkCall[ReservedId]:
    """Return a call that reserves `count` transaction ids; `begin` takes its rows."""
    return _RESERVE_IDS([(number,) for number in range(1, count + 1)])


def newest_reserved_id(session: Session) -> int | None:
    """Return the newest reserved transaction id, summed over brands' schemas; it grows during a snapshot, too.

    None where it does not tell whether transactions are posted: on a standby, and on SQLite.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    newest = f"SELECT sum(last_value) FROM pg_sequences WHERE sequencename = '{_ID.name}'"
    found: int | None = session.scalar(text(f"SELECT CASE WHEN NOT pg_is_in_recovery() THEN ({newest})::bigint END"))
    return found


def are_transactions_posted(session: Session) -> bool:
    """Watch for a moment, and return whether transactions are posted; False where that is not known."""
    before = newest_reserved_id(session)
    if before is None:
        return False
    time.sleep(_WATCHED)
    return newest_reserved_id(session) != before


def last_closed() -> BulkCall[LastClosed]:
    """Return a call that reads the last closed day; `begin` takes its rows."""
    return _LAST_CLOSED([(1,)])


def begin(reserved: Iterable[ReservedId] = (), closed: Iterable[LastClosed] = (), *, recorded_at: datetime) -> Journal:
    """Return a journal, without accounts yet, for as many transactions as there are reserved ids."""
    closed_through = next((row.day for row in closed), None)
    return Journal(recorded_at=recorded_at, ids=iter([row.id for row in reserved]), closed_through=closed_through)


def prepare(connection: Connection, *, count: int, recorded_at: datetime) -> Journal:
    """Reserve ids and return a journal, without accounts yet, for up to `count` transactions."""
    with pipeline(connection) as reads:
        ids, closed = reads.add(reserve_ids(count=count)), reads.add(last_closed())
    return begin(ids.rows, closed.rows, recorded_at=recorded_at)


class JournalWriter:
    """Stores a journal together with other writes of the same database transaction."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        """Find or create the accounts that the journal uses."""
        self._journal = journal
        self._dialect = connection.dialect.name
        self._house_ids = _resolve_accounts(connection, journal)

    def add_to(self, writes: Writes) -> None:
        """Add the journal's writes; their number does not depend on the journal's size.

        They fail unless every changed balance still has the version that was read: its customer must be locked.
        """
        if not self._journal.transactions:
            return
        moved = sorted((held.id, held.balance, held.version, held.version_read) for held in self._journal.moved)
        writes.add(_MOVE_BALANCES(moved), expected=len(moved))
        inserts = [_INSERT_TRANSACTIONS(self._journal.transactions), _INSERT_ENTRIES(self._entries())]
        if self._dialect == "sqlite":
            # A trigger on the transaction's row checks its entries and forbids more, so the row must come last.
            inserts.reverse()
        for call in inserts:
            writes.add(call)

    def _entries(self) -> list[tuple[object, ...]]:
        """Return the entries in the order of EntryRow's fields."""
        house_ids = self._house_ids
        return [
            (id_, line, account.id if type(account) is HeldAccount else house_ids[account], *amounts)
            for id_, line, account, *amounts in self._journal.entries
        ]


def save(connection: Connection, journal: Journal) -> None:
    """Store a journal atomically."""
    writes = Writes()
    JournalWriter(connection, journal).add_to(writes)
    writes.run(connection)


def _resolve_accounts(connection: Connection, journal: Journal) -> dict[Any, int]:
    """Set the ids of the journal's new customer accounts, and return the ids of the house accounts that it uses.

    Accounts that do not exist yet are created. Ids of house accounts are cached with the connection: these accounts are
    never deleted and need no lock.
    """
    house_ids: dict[AccountName, int] = connection_cache(connection).setdefault("house account ids", {})
    new = [account for account, held in journal.held.items() if held.id is None]
    unknown = [account for account in journal.house if account not in house_ids]
    if new or unknown:
        found = _find_or_create(connection, sorted([*new, *unknown]))
        for account in new:
            journal.held[account].id = found[account]
        house_ids |= {account: found[account] for account in unknown}
    return house_ids


def _find_or_create(connection: Connection, accounts: list[AccountName]) -> dict[AccountName, int]:
    """Return the ids of accounts; new accounts are created, and their currencies stored with their decimals."""
    store_currencies(connection, {account.currency for account in accounts})
    named = {(account.name, account.currency): account for account in accounts}
    found = {named[row.name, row.currency]: row.id for row in run(connection, ACCOUNT_IDS(list(named)))}
    if new := [account for account in accounts if account not in found]:
        with pipeline(connection) as calls:
            calls.add(_OPEN_ACCOUNTS(new))
            created = calls.add(ACCOUNT_IDS([account[:2] for account in new]))
        found |= {named[row.name, row.currency]: row.id for row in created.rows}
    return found


def post_one(session: Session, posting: Posting, *, holder_id: int, recorded_at: datetime) -> tuple[int, bool]:
    """Post a single transaction for one customer, whose row the caller has locked.

    Returns its id and whether it is new: the same reference and fingerprint again are idempotent. Raises ConflictError
    if the reference was used with other facts.
    """
    known = session.execute(
        select(Transaction.id, Transaction.fingerprint).where(Transaction.reference == posting.reference)
    ).one_or_none()
    if known is not None:
        if known.fingerprint != posting.fingerprint:
            raise ConflictError(f"reference {posting.reference!r} was used before with other facts")
        return known.id, False
    connection = session.connection()
    journal = prepare(connection, count=1, recorded_at=recorded_at)
    journal.held = held_accounts(run(connection, HELD_ACCOUNTS([(holder_id,)])))
    transaction_id = journal.post(posting)
    save(connection, journal)
    return transaction_id, True
