"""Postings in the making: what a decision moves, against the balances that were locked for it.

Nothing here touches the database. `service.write` stores a journal, all of it or nothing.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple


class AccountName(NamedTuple):
    """Identifies an account; `kind` is what it would be created as."""

    name: str
    currency: str
    kind: str


class Line(NamedTuple):
    """One leg of a posting, in minor units of the account's currency: debit positive, credit negative."""

    account: AccountName
    amount: int


class Posting(NamedTuple):
    """A transaction before it has an id.

    `reference` is unique in the ledger's whole life; `fingerprint` hashes the facts behind it (see `fingerprint`).
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
    """A customer's account as it was locked, moved on by the journal. `balance` in minor units, credit negative."""

    id: int
    holder_id: int
    balance: int
    version: int
    version_read: int


@dataclass(slots=True)
class Journal:
    """The transactions of one database transaction, numbered and with their running balances.

    `held` and `house` are the accounts that were read under lock; `ids` are transaction ids nobody else was given;
    `posted` has each reference's id and lines.
    """

    recorded_at: datetime
    ids: Iterator[int]
    closed_through: date | None
    held: dict[AccountName, HeldAccount] = field(default_factory=dict)
    house: dict[AccountName, int] = field(default_factory=dict)
    transactions: list[tuple[object, ...]] = field(default_factory=list)
    entries: list[tuple[object, ...]] = field(default_factory=list)
    moved: dict[int, HeldAccount] = field(default_factory=dict)
    posted: dict[str, tuple[int, tuple[Line, ...]]] = field(default_factory=dict)

    def balance(self, account: AccountName) -> int:
        """The balance after everything posted so far, credit negative; 0 for an account that does not exist yet."""
        held = self.held.get(account)
        return held.balance if held else 0

    def first_open_day(self, day: date) -> date:
        """The day itself, or where it was closed the first one that is open."""
        if self.closed_through is None or day > self.closed_through:
            return day
        return date.fromordinal(self.closed_through.toordinal() + 1)

    def post(self, posting: Posting) -> int:
        """Add a transaction and return its id. Its lines must sum to zero in each currency."""
        _assert_balanced(posting.lines)
        transaction_id = next(self.ids)
        self.transactions.append(
            (
                transaction_id,
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
        self.posted[posting.reference] = (transaction_id, posting.lines)
        for number, line in enumerate(posting.lines, start=1):
            self.entries.append((transaction_id, number, *self._enter(line)))
        return transaction_id

    def _enter(self, line: Line) -> tuple[object, ...]:
        account = line.account
        held = self.held.get(account)
        if held is None:
            return (self.house[account], account.currency, line.amount, None, None)
        held.balance += line.amount
        held.version += 1
        self.moved[held.id] = held
        return (held.id, account.currency, line.amount, held.balance, held.version)


def fingerprint(*facts: object) -> str:
    """A hash of facts, the same for the same facts in the same order."""
    return hashlib.blake2b("\x1f".join(map(str, facts)).encode(), digest_size=16).hexdigest()


def _assert_balanced(lines: Iterable[Line]) -> None:
    sums: dict[str, int] = {}
    for (_, currency, _), amount in lines:
        sums[currency] = sums.get(currency, 0) + amount
    assert not any(sums.values()), "a transaction sums to zero in each currency"
