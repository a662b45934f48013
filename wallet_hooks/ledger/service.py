"""The ledger's one writer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.database import Call, Either, RowStatement, as_day, run_together, write_at_once
from wallet_hooks.errors import ConflictError
from wallet_hooks.ledger.currencies import keep
from wallet_hooks.ledger.journal import AccountName, Journal, Posting
from wallet_hooks.ledger.models import ExchangeRate, Transaction
from wallet_hooks.ledger.queries import HELD_ACCOUNTS, HOUSE_ACCOUNTS, held_accounts, house_accounts

_ACCOUNT = {"name": "text", "currency": "text", "kind": "text", "holder_id": "bigint"}
_OPEN_ACCOUNTS = RowStatement(
    "INSERT INTO ledger_account (name, currency, kind, holder_id, balance, version)"
    " SELECT name, currency, kind, holder_id, CASE WHEN holder_id IS NULL THEN NULL ELSE 0 END,"
    " CASE WHEN holder_id IS NULL THEN NULL ELSE 0 END FROM {opened} WHERE true"
    " ON CONFLICT (name, currency) DO NOTHING",
    opened=_ACCOUNT,
)
# Ids come before the decision that needs them, in the same round trip as what it reads; on SQLite there is one writer.
_NEXT_IDS = RowStatement(
    "SELECT {next_id}, (SELECT max(day) FROM ledger_period) FROM {asked}",
    next_id=Either(
        "nextval('ledger_transaction_id')", "number + (SELECT coalesce(max(id), 0) FROM ledger_transaction)"
    ),
    asked={"number": "bigint"},
)
_INSERT_TRANSACTIONS = RowStatement(
    "INSERT INTO ledger_transaction (id, kind, reference, fingerprint, occurred_at, recorded_at, booked_on,"
    " description, reverses_id) SELECT * FROM {posted}",
    posted={
        "id": "bigint",
        "kind": "text",
        "reference": "text",
        "fingerprint": "text",
        "occurred_at": "timestamptz",
        "recorded_at": "timestamptz",
        "booked_on": "date",
        "description": "text",
        "reverses_id": "bigint",
    },
)
_INSERT_ENTRIES = RowStatement(
    "INSERT INTO ledger_entry (transaction_id, line, account_id, currency, amount, balance_after, version)"
    " SELECT * FROM {entered}",
    entered={
        "transaction_id": "bigint",
        "line": "smallint",
        "account_id": "bigint",
        "currency": "text",
        "amount": "bigint",
        "balance_after": "bigint",
        "version": "bigint",
    },
)
_MOVE_BALANCES = RowStatement(
    "UPDATE ledger_account SET balance = moved.balance, version = moved.version FROM {moved}"
    " WHERE ledger_account.id = moved.id AND ledger_account.version = moved.version_read RETURNING ledger_account.id",
    moved={"id": "bigint", "balance": "bigint", "version": "bigint", "version_read": "bigint"},
)


class UnlockedBalanceError(Exception):
    """A balance moved although this transaction had locked it: the caller forgot a lock, nothing may be written."""


def next_ids(*, count: int) -> Call:
    """A call that yields `count` rows (transaction id, the last closed day or None)."""
    return _NEXT_IDS([(number,) for number in range(1, count + 1)])


def begin(rows: Sequence[Sequence[Any]], *, recorded_at: datetime) -> Journal:
    """A journal from the rows of `next_ids`."""
    closed_through = as_day(rows[0][1]) if rows and rows[0][1] else None
    return Journal(recorded_at=recorded_at, ids=iter([row[0] for row in rows]), closed_through=closed_through)


def prepare(session: Session, *, count: int, recorded_at: datetime) -> Journal:
    """A journal for up to `count` transactions, without accounts yet."""
    (rows,) = run_together(session, [next_ids(count=count)])
    return begin(rows, recorded_at=recorded_at)


def open_accounts(session: Session, journal: Journal, accounts: Iterable[tuple[AccountName, int | None]]) -> None:
    """Make sure that accounts exist and are in the journal, each with the customer who holds it or None.

    The caller holds the locks of those customers. Keeps the accounts' currencies (see `currencies.keep`).
    """
    accounts = list(accounts)
    keep(session, {account.currency for account, _ in accounts})
    missing = [pair for pair in dict.fromkeys(accounts) if pair[0] not in journal.held | journal.house]
    if not missing:
        return
    house = [account[:2] for account, holder_id in missing if holder_id is None]
    journal.house |= house_accounts(run_together(session, [HOUSE_ACCOUNTS(house)])[0]) if house else {}
    missing = [(account, holder_id) for account, holder_id in missing if account not in journal.house]
    if not missing:
        return
    holders = sorted({holder_id for _, holder_id in missing if holder_id is not None})
    rows = sorted((*account, holder_id) for account, holder_id in missing)
    _, found, held = run_together(
        session, [_OPEN_ACCOUNTS(rows), HOUSE_ACCOUNTS(house), HELD_ACCOUNTS([(holder,) for holder in holders])]
    )
    journal.house |= house_accounts(found)
    journal.held = held_accounts(held) | journal.held


def writes(journal: Journal, *, dialect: str) -> list[Call]:
    """The calls that store the journal, for `write_at_once`; `check_written` must see what they returned."""
    if not journal.transactions:
        return []
    insert = [_INSERT_TRANSACTIONS(journal.transactions), _INSERT_ENTRIES(journal.entries)]
    if dialect == "sqlite":
        # There the entries are sealed by their transaction's row, which must therefore come last.
        insert.reverse()
    moved = sorted((held.id, held.balance, held.version, held.version_read) for held in journal.moved.values())
    return [_MOVE_BALANCES(moved), *insert]


def check_written(journal: Journal, counts: Sequence[int | None]) -> None:
    """Raise UnlockedBalanceError unless every balance that the journal moved was still as it had been read."""
    if journal.transactions and counts[0] != len(journal.moved):
        raise UnlockedBalanceError


def write(session: Session, journal: Journal) -> None:
    """Store the journal, in a number of statements that does not depend on its size."""
    if journal.transactions:
        calls = writes(journal, dialect=session.get_bind().dialect.name)
        check_written(journal, write_at_once(session, calls))


def post_one(session: Session, posting: Posting, *, holder_id: int, recorded_at: datetime) -> tuple[int, bool]:
    """Post a single transaction for one customer, whose row the caller has locked.

    Returns its id and whether it is new: the same reference with the same fingerprint is done once. Raises
    ConflictError where the reference was used with other facts.
    """
    known = session.execute(
        select(Transaction.id, Transaction.fingerprint).where(Transaction.reference == posting.reference)
    ).one_or_none()
    if known is not None:
        if known.fingerprint != posting.fingerprint:
            raise ConflictError(f"reference {posting.reference!r} was used before with other facts")
        return known.id, False
    journal = prepare(session, count=1, recorded_at=recorded_at)
    journal.held = held_accounts(run_together(session, [HELD_ACCOUNTS([(holder_id,)])])[0])
    own = f"players:{holder_id}:"
    open_accounts(session, journal, [(a, holder_id if a.name.startswith(own) else None) for a, _ in posting.lines])
    transaction_id = journal.post(posting)
    write(session, journal)
    return transaction_id, True


def set_rate(session: Session, *, source: str, target: str, rate: str, now: datetime) -> None:
    """Store how much of `target` one unit of `source` is worth from now on. Bets keep the rate they were taken at."""
    session.add(ExchangeRate(source=source, target=target, rate=rate, valid_from=now))
