"""Builds ledger transactions in memory, on account names, with running balances of the locked accounts.

Nothing here uses the database. `service.save` finds or creates the accounts and stores a journal atomically.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple


class AccountName(NamedTuple):
    """An account as `chart` names it: `kind` is used when it is created, `holder_id` is the customer who holds it."""

    name: str
    currency: str
    kind: str
    holder_id: int | None = None


class Line(NamedTuple):
    """One line of a posting, in minor units of the account's currency: debit positive, credit negative."""

    account: AccountName
    amount: int


class Posting(NamedTuple):
    """A transaction before it has an id.

    `reference` is unique in the ledger, over all time; `fingerprint` is a hash of the cause's facts.
    """

    kind: str
    reference: str
    fingerprint: str
    occurred_at: datetime
    booked_on: date
    lines: tuple[Line, ...]
    description: str | None = None
    reverses_id: int | None = None


@dataclass(slots=True)
class HeldAccount:
    """A customer's account as it was read under lock, updated by the journal; `id` is None if it is new.

    `balance` is in minor units, credit negative.
    """

    id: int | None
    balance: int
    version: int
    version_read: int
    is_moved: bool = False


class PostedTransaction(NamedTuple):
    """A transaction with its id."""

    id: int
    lines: tuple[Line, ...]


class TransactionRow(NamedTuple):
    """A row of `models.Transaction`."""

    id: int
    kind: str
    reference: str
    fingerprint: str
    occurred_at: datetime
    recorded_at: datetime
    booked_on: date
    description: str | None
    reverses_id: int | None


# An entry whose account may not have an id yet: transaction id, line, account, currency, amount, and for a customer's
# account the balance after it and the version.
PendingEntry = tuple[int, int, AccountName | HeldAccount, str, int, int | None, int | None]


@dataclass(slots=True)
class Journal:
    """The ledger transactions of one database transaction, with ids and running balances.

    `held` has every account of the customers whose rows the caller has locked; `ids` are the reserved transaction ids;
    `posted` has the transactions by reference, `moved` the customers' accounts with changed balances, `house` the house
    accounts that are used.
    """

    recorded_at: datetime
    ids: Iterator[int]
    closed_through: date | None
    held: dict[AccountName, HeldAccount] = field(default_factory=dict)
    transactions: list[TransactionRow] = field(default_factory=list)
    entries: list[PendingEntry] = field(default_factory=list)
    moved: list[HeldAccount] = field(default_factory=list)
    house: dict[AccountName, None] = field(default_factory=dict)
    posted: dict[str, PostedTransaction] = field(default_factory=dict)

    def balance(self, account: AccountName) -> int:
        """Return the balance after all postings so far, in minor units, credit negative; 0 for a new account."""
        held = self.held.get(account)
        return held.balance if held else 0

    def open(self, account: AccountName) -> HeldAccount:
        """Return a customer's account; a new one is added with balance 0 and created when the journal is stored."""
        held = self.held.get(account)
        if held is None:
            held = self.held[account] = HeldAccount(None, 0, 0, 0)
        return held

    def first_open_day(self, day: date) -> date:
        """Return the day itself or, if it is closed, the first day that is open."""
        if self.closed_through is None or day > self.closed_through:
            return day
        return date.fromordinal(self.closed_through.toordinal() + 1)

    def post(self, posting: Posting) -> int:
        """Add a transaction and return its id. Its lines must sum to zero in each currency (asserted)."""
        _assert_balanced(posting.lines)
        id_ = next(self.ids)
        self.transactions.append(
            TransactionRow(
                id_,
                posting.kind,
                posting.reference,
                posting.fingerprint,
                posting.occurred_at,
                self.recorded_at,
                self.first_open_day(posting.booked_on),
                posting.description,
                posting.reverses_id,
            )
        )
        self.posted[posting.reference] = PostedTransaction(id_, posting.lines)
        for number, (account, amount) in enumerate(posting.lines, start=1):
            if account.holder_id is None:
                self.house[account] = None
                self.entries.append((id_, number, account, account.currency, amount, None, None))
                continue
            held = self.open(account)
            if not held.is_moved:
                held.is_moved = True
                self.moved.append(held)
            held.balance += amount
            held.version += 1
            self.entries.append((id_, number, held, account.currency, amount, held.balance, held.version))
        return id_


def fingerprint(*facts: object) -> str:
    """Return a hash of facts, equal for equal facts in the same order (32 hex digits)."""
    return hashlib.blake2b("\x1f".join(map(str, facts)).encode(), digest_size=16).hexdigest()


def _assert_balanced(lines: Iterable[Line]) -> None:
    sums: dict[str, int] = {}
    for account, amount in lines:
        sums[account.currency] = sums.get(account.currency, 0) + amount
    assert not any(sums.values()), "a transaction sums to zero in each currency"
