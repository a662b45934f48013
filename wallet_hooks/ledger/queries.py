"""Reading the ledger."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from wallet_hooks.database import RowStatement
from wallet_hooks.ledger.chart import OPEN_STAKES
from wallet_hooks.ledger.journal import AccountName, HeldAccount, Line
from wallet_hooks.ledger.models import Account, Entry, Transaction

# The kinds of transactions that bets make.
BETTING_KINDS = frozenset({"stake", "settlement", "reversal", "cancel"})
_BATCH, _FEW = 500, 10

HOUSE_ACCOUNTS = RowStatement(
    "SELECT a.id, a.name, a.currency, a.kind FROM {asked} JOIN ledger_account a USING (name, currency)",
    asked={"name": "text", "currency": "text"},
)
HELD_ACCOUNTS = RowStatement(
    "SELECT a.id, a.holder_id, a.name, a.currency, a.balance, a.version"
    " FROM {asked} JOIN ledger_account a ON a.holder_id = asked.id",
    asked={"id": "bigint"},
)
ENTRIES_OF_REFERENCES = RowStatement(
    "SELECT asked.reference, t.id, a.name, a.currency, a.kind, e.amount FROM {asked}"
    " JOIN ledger_transaction t USING (reference)"
    " JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id"
    " ORDER BY t.id, e.line",
    asked={"reference": "text"},
)
CURRENT_RATES = RowStatement(
    "SELECT r.source, r.target, r.rate FROM {asked} JOIN exchange_rate r USING (source, target)"
    " ORDER BY r.valid_from, r.id",
    asked={"source": "text", "target": "text"},
)


def held_accounts(rows: Iterable[Sequence[Any]]) -> dict[AccountName, HeldAccount]:
    """Rows of HELD_ACCOUNTS as a journal takes them."""
    return {
        AccountName(name, currency, "liability"): HeldAccount(id_, holder_id, balance, version, version)
        for id_, holder_id, name, currency, balance, version in rows
    }


def house_accounts(rows: Iterable[Sequence[Any]]) -> dict[AccountName, int]:
    """Rows of HOUSE_ACCOUNTS as a journal takes them."""
    return {AccountName(name, currency, kind): id_ for id_, name, currency, kind in rows}


def lines_by_reference(rows: Iterable[Sequence[Any]]) -> dict[str, tuple[int, tuple[Line, ...]]]:
    """Rows of ENTRIES_OF_REFERENCES: each reference's transaction id and lines."""
    found: dict[str, tuple[int, tuple[Line, ...]]] = {}
    for reference, transaction_id, name, currency, kind, amount in rows:
        _, lines = found.get(reference, (0, ()))
        found[reference] = (transaction_id, (*lines, Line(AccountName(name, currency, kind), amount)))
    return found


def balances_of(session: Session, *, holder_ids: Sequence[int]) -> dict[AccountName, int]:
    """The balances of customers' accounts in minor units, credit negative."""
    rows = session.execute(
        select(Account.name, Account.currency, Account.balance).where(Account.holder_id.in_(holder_ids))
    )
    return {AccountName(name, currency, "liability"): balance or 0 for name, currency, balance in rows}


def transactions_with(session: Session, *, references: Sequence[str]) -> list[dict[str, Any]]:
    """The transactions of these references with their entries, in posting order."""
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


def open_stakes(session: Session) -> dict[str, int]:
    """All stakes that are taken and not settled, in minor units by currency."""
    rows = session.execute(
        select(Account.currency, func.sum(Account.balance))
        .where(Account.name.like(f"players:%:{OPEN_STAKES}"))
        .group_by(Account.currency)
    )
    return {currency: -int(balance or 0) for currency, balance in rows}


class BettingEntry(NamedTuple):
    """What a transaction of a bet moved on a customer's account: minor units, debit positive."""

    account: AccountName
    reference: str
    booked_on: date
    amount: int


def betting_entries(session: Session, *, holder_id: int, since: date) -> Iterator[BettingEntry]:
    """What bets moved on a customer's accounts from an accounting day on, account by account, newest first.

    Each account is walked backwards from its newest entry, so that the cost follows the days and not all history.
    """
    accounts = select(Account.id, Account.name, Account.currency, Account.kind).where(Account.holder_id == holder_id)
    for id_, *name in session.execute(accounts.order_by(Account.id)).all():
        for entry in takewhile(lambda entry: entry.booked_on >= since, _newest_entries(session, id_)):
            if entry.kind in BETTING_KINDS:
                yield BettingEntry(AccountName(*name), entry.reference, entry.booked_on, int(entry.amount))


def betting_result_since(session: Session, account: AccountName, *, since: datetime) -> int:
    """What betting changed on a customer's account from an instant on, in minor units; a gain is positive."""
    newest = _newest_entries(session, _account_id(session, account))
    recent = takewhile(lambda entry: entry.recorded_at >= since, newest)
    return -sum(int(entry.amount) for entry in recent if entry.kind in BETTING_KINDS)


def stake_instants(session: Session, account: AccountName) -> Iterator[datetime]:
    """When stakes were taken from a customer's account, the newest first."""
    newest = _newest_entries(session, _account_id(session, account), batch=_FEW)
    return (entry.recorded_at for entry in newest if entry.kind == "stake")


def _account_id(session: Session, account: AccountName) -> int:
    """The account's id; 0, which no account has, where there is none."""
    query = select(Account.id).where(Account.name == account.name, Account.currency == account.currency)
    return session.scalar(query) or 0


def _newest_entries(
    session: Session, account_id: int, *, batch: int = _BATCH
) -> Iterator[Row[int | None, str, str, date, datetime, int]]:
    """An account's entries with what is known of their transactions, newest first; `batch` are read at first."""
    query = (
        select(
            Entry.version,
            Transaction.kind,
            Transaction.reference,
            Transaction.booked_on,
            Transaction.recorded_at,
            Entry.amount,
        )
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Entry.account_id == account_id, Entry.version.is_not(None))
        .order_by(Entry.version.desc())
    )
    rows = session.execute(query.limit(batch)).all()
    while rows:
        yield from rows
        rows = session.execute(query.where(Entry.version < rows[-1].version).limit(_BATCH)).all()
