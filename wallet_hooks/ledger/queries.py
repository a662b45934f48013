"""Reads of the ledger: locked accounts, posted transactions and customers' betting entries."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import BulkStatement, RowSet
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.journal import AccountName, HeldAccount, Line, PostedTransaction
from wallet_hooks.ledger.models import Account, Entry, Transaction

# The kinds of transactions that bets, settlements and cancels post.
BETTING_KINDS = frozenset({"stake", "settlement", "reversal", "cancel"})
RETURNING_KINDS = BETTING_KINDS - {"stake"}
_BATCH, _SMALL_BATCH = 500, 10
_CLOCKS_APART = timedelta(minutes=10)  # more than the clocks of two machines differ


class HeldAccountRow(NamedTuple):
    """A customer's account: balance in minor units, credit negative."""

    id: int
    holder_id: int
    name: str
    currency: str
    balance: int
    version: int


class AccountIdRow(NamedTuple):
    """An account's id, with its name and currency."""

    id: int
    name: str
    currency: str


class PostedLine(NamedTuple):
    """A line of a stored transaction, with the transaction's id and reference."""

    reference: str
    id: int
    name: str
    currency: str
    kind: str
    holder_id: int | None
    amount: int


_holders = RowSet("requested", id=Account.holder_id)
_names = RowSet("requested", Account.name, Account.currency)
_references = RowSet("requested", Transaction.reference)

HELD_COLUMNS = (
    Account.id, Account.holder_id, Account.name, Account.currency, Account.balance, Account.version,
)  # fmt: skip
HELD_ACCOUNTS = BulkStatement(
    _holders,
    lambda _: select(*HELD_COLUMNS).select_from(_holders.join(Account, Account.holder_id == _holders.c.id)),
    row=HeldAccountRow,
)
ACCOUNT_IDS = BulkStatement(
    _names,
    lambda _: select(Account.id, Account.name, Account.currency).select_from(
        _names.join(Account, (Account.name == _names.c.name) & (Account.currency == _names.c.currency))
    ),
    row=AccountIdRow,
)
POSTED_LINES = BulkStatement(
    _references,
    lambda _: (
        select(
            Transaction.reference,
            Transaction.id,
            Account.name,
            Account.currency,
            Account.kind,
            Account.holder_id,
            Entry.amount,
        )
        .select_from(
            _references.join(Transaction, Transaction.reference == _references.c.reference)
            .join(Entry, Entry.transaction_id == Transaction.id)
            .join(Account, Account.id == Entry.account_id)
        )
        .order_by(Transaction.id, Entry.line)
    ),
    row=PostedLine,
)


def newest_transaction_id(session: Session) -> int | None:
    """Return the largest id of a transaction; None in an empty ledger."""
    return session.scalar(select(func.max(Transaction.id)))


def held_accounts(rows: Iterable[HeldAccountRow]) -> dict[AccountName, HeldAccount]:
    """Return customers' accounts in the form that a journal takes."""
    return {
        AccountName(row.name, row.currency, "liability", row.holder_id): HeldAccount(
            row.id, row.balance, row.version, row.version
        )
        for row in rows
    }


def posted_transactions(rows: Iterable[PostedLine]) -> dict[str, PostedTransaction]:
    """Return stored transactions by reference, each with its lines in order."""
    found: dict[str, PostedTransaction] = {}
    for row in rows:
        line = Line(AccountName(row.name, row.currency, row.kind, row.holder_id), row.amount)
        before = found.get(row.reference)
        found[row.reference] = PostedTransaction(row.id, (*(before.lines if before else ()), line))
    return found


def balances_of(session: Session, *, holder_ids: Sequence[int]) -> dict[AccountName, int]:
    """Return the balances of customers' accounts, in minor units, credit negative."""
    rows = session.execute(select(*HELD_COLUMNS).where(Account.holder_id.in_(holder_ids)))
    return {account: held.balance for account, held in held_accounts(map(HeldAccountRow._make, rows)).items()}


def transactions_with(session: Session, *, references: Sequence[str]) -> list[dict[str, Any]]:
    """Return the transactions with these references and their entries, in posting order (amounts in minor units)."""
    found = session.scalars(select(Transaction).where(Transaction.reference.in_(references)).order_by(Transaction.id))
    transactions = {transaction.id: transaction for transaction in found}
    entries: dict[int, list[dict[str, Any]]] = {id_: [] for id_ in transactions}
    rows = session.execute(
        select(Entry.transaction_id, Account.name, Entry.currency, Entry.amount, Entry.balance_after)
        .join(Account, Account.id == Entry.account_id)
        .where(Entry.transaction_id.in_(transactions))
        .order_by(Entry.transaction_id, Entry.line)
    )
    for transaction_id, name, currency, amount, balance_after in rows:
        entry = {"account": name, "currency": currency, "amount": amount, "balance_after": balance_after}
        entries[transaction_id].append(entry)
    return [{"transaction": transactions[id_], "entries": entries[id_]} for id_ in transactions]


def sum_open_stakes(session: Session) -> dict[str, int]:
    """Return the sum of all open stakes by currency, in minor units."""
    rows = session.execute(
        select(Account.currency, func.sum(Account.balance))
        .where(chart.has_wallet(Account.name, chart.OPEN_STAKES))
        .group_by(Account.currency)
    )
    return {currency: -int(balance or 0) for currency, balance in rows}


class BettingEntry(NamedTuple):
    """An entry of a bet's transaction on a customer's account: minor units, debit positive."""

    account: AccountName
    reference: str
    booked_on: date
    amount: int


def betting_entries(session: Session, *, holder_id: int, since: date) -> Iterator[BettingEntry]:
    """Yield the entries of bets on a customer's accounts since an accounting day, by account, newest first.

    Each account is read backwards from its newest entry, so that the cost depends on the days read, not on all history.
    It is read one day further: clocks of machines differ, so an entry may have an earlier day than the one before it.
    """
    last = since - timedelta(days=1)
    accounts = select(Account).where(Account.holder_id == holder_id).order_by(Account.id)
    for account in session.scalars(accounts).all():
        name = AccountName(account.name, account.currency, account.kind, account.holder_id)
        for entry in takewhile(lambda entry: entry.booked_on >= last, _newest_entries(session, account.id)):
            if entry.kind in BETTING_KINDS and entry.booked_on >= since:
                yield BettingEntry(name, entry.reference, entry.booked_on, int(entry.amount))


def betting_result_since(session: Session, account: AccountName, *, since: datetime) -> int:
    """Return the net result of betting on a customer's account since an instant, in minor units; a gain is positive."""
    newest = _newest_entries(session, account_id(session, account))
    recent = takewhile(lambda entry: entry.recorded_at >= since - _CLOCKS_APART, newest)
    return -sum(int(entry.amount) for entry in recent if entry.kind in BETTING_KINDS and entry.recorded_at >= since)


def stake_instants(session: Session, account: AccountName) -> Iterator[datetime]:
    """Return the times (UTC) at which stakes were taken from a customer's account, newest first."""
    newest = _newest_entries(session, account_id(session, account), batch=_SMALL_BATCH)
    return (entry.recorded_at for entry in newest if entry.kind == "stake")


def account_id(session: Session, account: AccountName) -> int | None:
    """Return the account's id; None where it does not exist yet."""
    return session.scalar(select(Account.id).where(Account.name == account.name, Account.currency == account.currency))


def entries_of(account: int | None, *columns: Any) -> Select[Any]:
    """Return the query of these columns or models of an account's entries and their transactions, in no order."""
    query = select(*columns).select_from(Entry).join(Transaction, Transaction.id == Entry.transaction_id)
    return query.where(Entry.account_id == account)


def _newest_entries(
    session: Session, id_: int | None, *, batch: int = _BATCH
) -> Iterator[Row[int | None, str, str, date, datetime, int]]:
    """Yield an account's entries with fields of their transactions, newest first; `batch` rows in the first query."""
    if id_ is None:
        return
    columns = (Entry.version, Transaction.kind, Transaction.reference, Transaction.booked_on, Transaction.recorded_at)
    query = entries_of(id_, *columns, Entry.amount).where(Entry.version.is_not(None)).order_by(Entry.version.desc())
    rows = session.execute(query.limit(batch)).all()
    while rows:
        yield from rows
        rows = session.execute(query.where(Entry.version < rows[-1].version).limit(_BATCH)).all()
