"""Seals closed days: hashes their transactions, in id order, into a chain.

A transaction's canonical form is a line of JSON without spaces: `[id, kind, reference, fingerprint, occurred_at,
recorded_at, booked_on, description, reverses_id, [[line, account, currency, amount, balance_after, version], …]]`, with
instants in UTC as `2026-11-21T12:00:00.000000Z`, amounts in minor units, non-ASCII text unescaped, and a newline at the
end. A day's hash is SHA-256 over the previous hash (64 hex digits, or nothing for the first), the day as
`2026-11-21`, a newline, and the lines of its transactions, in UTF-8.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger.chart import summary_name
from wallet_hooks.ledger.models import Account, Entry, Seal, Transaction

_BATCH = 5000


@dataclass(slots=True)
class SealedDay:
    """A day's seal before it is stored; see `models.Seal` for the fields."""

    day: date
    previous: str
    hash: str = ""
    transactions: int = 0
    entries: int = 0
    last_id: int | None = None
    totals: dict[str, int] = field(default_factory=dict)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)


def seal_day(session: Session, day: date, previous: str, balances: dict[str, dict[str, int]]) -> SealedDay:
    """Return the seal of a day: `previous` is the hash and `balances` are the balances of the day before."""
    sealed = SealedDay(day, previous, balances={name: dict(amounts) for name, amounts in balances.items()})
    digest = hashlib.sha256(f"{previous}{day.isoformat()}\n".encode())
    for line in _canonical_lines(session, sealed):
        digest.update(line)
    sealed.hash = digest.hexdigest()
    return sealed


def seals_in_force(session: Session, *, after: date = date.min) -> list[Seal]:
    """Return the seals of closed days after a day, oldest first."""
    query = select(Seal).where(Seal.reopened_at.is_(None), Seal.day > after)
    return list(session.scalars(query.order_by(Seal.day)))


def newest_seal(session: Session, *, before: date = date.max) -> Seal | None:
    """Return the seal of the last closed day, or of the last one before a day; None without one."""
    query = select(Seal).where(Seal.reopened_at.is_(None), Seal.day < before)
    return session.scalar(query.order_by(Seal.day.desc()).limit(1))


def seal_of(session: Session, day: date) -> Seal:
    """Return the seal of a closed day. Raises RefusedError (`not_closed`)."""
    seal = session.scalar(select(Seal).where(Seal.day == day, Seal.reopened_at.is_(None)))
    if seal is None:
        raise not_closed(session, day)
    return seal


def not_closed(session: Session, day: date) -> RefusedError:
    """Return the error (`not_closed`) for a day without a seal in force."""
    first = session.scalar(select(func.min(Seal.day)).where(Seal.reopened_at.is_(None)))
    if first is not None and day < first:
        return RefusedError("not_closed", f"{day} has no seal: it is locked with the first closed day, {first}")
    return RefusedError("not_closed", f"{day} is not closed")


def counts_of(session: Session, first: date, last: date) -> dict[date, tuple[int, int]]:
    """Return each day's number of transactions and highest id, which are cheap to compare with its seal."""
    query = select(Transaction.booked_on, func.count(), func.max(Transaction.id))
    rows = session.execute(query.where(Transaction.booked_on.between(first, last)).group_by(Transaction.booked_on))
    return {day: (count, last_id) for day, count, last_id in rows}


def _canonical_lines(session: Session, sealed: SealedDay) -> Iterator[bytes]:
    for _, rows in groupby(_entries_of(session, sealed.day), key=attrgetter("id")):
        yield _canonical(list(rows), sealed)


def _entries_of(session: Session, day: date) -> Iterable[Any]:
    query = (
        select(
            Transaction.id, Transaction.kind, Transaction.reference, Transaction.fingerprint, Transaction.occurred_at,
            Transaction.recorded_at, Transaction.booked_on, Transaction.description, Transaction.reverses_id,
            Entry.line, Account.name, Entry.currency, Entry.amount, Entry.balance_after, Entry.version,
        )
        .outerjoin(Entry, Entry.transaction_id == Transaction.id)
        .outerjoin(Account, Account.id == Entry.account_id)
        .where(Transaction.booked_on == day)
        .order_by(Transaction.id, Entry.line)
    )  # fmt: skip
    return session.execute(query.execution_options(yield_per=_BATCH))


def _canonical(rows: list[Any], sealed: SealedDay) -> bytes:
    """Return a transaction's canonical line, and add it to the seal's counts, totals and balances."""
    one = rows[0]
    entries = [[r.line, r.name, r.currency, r.amount, r.balance_after, r.version] for r in rows if r.line is not None]
    sealed.transactions += 1
    sealed.entries += len(entries)
    sealed.last_id = one.id
    for _, name, currency, amount, _, _ in entries:
        if amount > 0:
            sealed.totals[currency] = sealed.totals.get(currency, 0) + amount
        held = sealed.balances.setdefault(summary_name(name), {})
        held[currency] = held.get(currency, 0) + amount
    facts = [one.id, one.kind, one.reference, one.fingerprint, _instant(one.occurred_at), _instant(one.recorded_at)]
    facts += [one.booked_on.isoformat(), one.description, one.reverses_id, entries]
    return (json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _instant(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
