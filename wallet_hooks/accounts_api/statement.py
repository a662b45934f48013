"""Which items a page of the statement has.

An item is an entry of the wallet's ledger account. Entries are numbered without gaps by their version, so the item at
any position is found by arithmetic, whatever the depth: a filter only has to know the versions that it leaves out (or,
for payments, the versions that it takes in).
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, Payment, payment_reference
from wallet_hooks.customers.service import opening_reference
from wallet_hooks.database.bulk import BulkStatement, RowSet, run
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger.models import Entry, Transaction
from wallet_hooks.ledger.queries import entries_of

# Entries of an account are numbered in the order of their commits, and their instants (taken before) may differ from
# that order by this much: as long as a request can wait for its customer's lock, and machines' clocks differ.
_DISORDER = timedelta(minutes=2)


class ItemRow(NamedTuple):
    """An entry of a wallet with its transaction. Amounts in minor units, credit negative."""

    version: int
    amount: int
    balance_after: int
    transaction_id: int
    kind: str
    reference: str
    recorded_at: datetime
    description: str | None


class EntryVersion(NamedTuple):
    """An entry's number on its account."""

    account_id: int
    version: int


_references = RowSet("requested", Transaction.reference)
_ENTRIES_OF = BulkStatement(
    _references,
    lambda _: (
        select(Entry.account_id, Entry.version)
        .select_from(
            _references.join(Transaction, Transaction.reference == _references.c.reference).join(
                Entry, Entry.transaction_id == Transaction.id
            )
        )
        .where(Entry.version.is_not(None))
    ),
    row=EntryVersion,
)


class Selection(NamedTuple):
    """The versions from `first` to `last`, without those in `excluded`, which is sorted."""

    first: int
    last: int
    excluded: Sequence[int] = ()

    def from_position(self, position: int) -> Iterator[int]:
        """Yield the versions from a position (0 is the first) on."""
        version = self.first + position
        for excluded in self.excluded:
            if self.first <= excluded <= version:
                version += 1
        skipped = bisect_right(self.excluded, version - 1)
        while version <= self.last:
            if skipped < len(self.excluded) and self.excluded[skipped] == version:
                skipped += 1
            else:
                yield version
            version += 1


def last_version(session: Session, account: int) -> int:
    """Return the version of the newest entry, which is also the number of entries."""
    return int(session.scalar(select(func.max(Entry.version)).where(Entry.account_id == account)) or 0)


def in_date_range(session: Session, account: int, since: datetime | None, until: datetime | None) -> Selection:
    """Select the entries that were booked from `since` to `until`, both inclusive; None is an open end.

    Both are whole milliseconds, as in the items: an entry belongs to the millisecond in which it was booked.
    """
    since = None if since is None else since.replace(microsecond=since.microsecond // 1000 * 1000)
    until = None if until is None else until.replace(microsecond=until.microsecond // 1000 * 1000 + 999)
    last = last_version(session, account)
    sure_first = first = 1
    sure_last = end = last
    if since is not None:
        first = _first_after(session, account, last, _shifted(since, -_DISORDER))
        sure_first = _first_after(session, account, last, _shifted(since, _DISORDER))
    if until is not None:
        sure_last = _first_after(session, account, last, _shifted(until, -_DISORDER)) - 1
        end = _first_after(session, account, last, _shifted(until, _DISORDER + timedelta.resolution)) - 1
    # Only entries whose instants are close to an end of the range can be in its middle and yet outside of it.
    is_outside = [] if since is None else [Transaction.recorded_at < since]
    is_outside += [] if until is None else [Transaction.recorded_at > until]
    excluded: Sequence[int] = ()
    if is_outside:
        is_near = or_(Entry.version < sure_first, Entry.version > sure_last)
        query = _entries(account, first, end).where(is_near, or_(*is_outside))
        excluded = [version for version, *_ in session.execute(query)]
    return Selection(first, end, excluded)


def payment_versions(session: Session, account: int, customer: Customer) -> list[int]:
    """Return the versions of a wallet's entries from payments: the cashier's, transfers, and the opening balance."""
    client = session.get_one(Brand, customer.brand_id).client
    query = select(Payment.kind, Payment.reference).where(Payment.customer_id == customer.id, Payment.status == "done")
    references = [(payment_reference(client, kind, reference),) for kind, reference in session.execute(query)]
    references.append((opening_reference(client, customer.uid),))
    entries = run(session.connection(), _ENTRIES_OF(references))
    return sorted(entry.version for entry in entries if entry.account_id == account)


def items_of(session: Session, account: int, versions: Sequence[int]) -> list[ItemRow]:
    """Return the entries of these versions, oldest first."""
    if not versions:
        return []
    query = _entries(account, versions[0], versions[-1]).where(Entry.version.in_(versions))
    return [ItemRow(*row) for row in session.execute(query)]


def totals_of(session: Session, account: int, transactions: Collection[int]) -> dict[int, int]:
    """Return the sum of an account's entries in each of these transactions (a page of them at most), by their ids."""
    query = (
        select(Entry.transaction_id, func.sum(Entry.amount))
        .where(Entry.account_id == account, Entry.transaction_id.in_(transactions))
        .group_by(Entry.transaction_id)
    )
    return {id_: int(total) for id_, total in session.execute(query)} if transactions else {}


def _entries(account: int, first: int, last: int) -> Select[*tuple[Any, ...]]:
    query = entries_of(
        account, Entry.version, Entry.amount, Entry.balance_after, Transaction.id, Transaction.kind,
        Transaction.reference, Transaction.recorded_at, Transaction.description,
    )  # fmt: skip
    return query.where(Entry.version.between(first, last)).order_by(Entry.version)


def _first_after(session: Session, account: int, last: int, instant: datetime) -> int:
    """Return the version of about the first entry that was booked at or after an instant, by binary search."""
    low, high = 1, last + 1
    while low < high:
        middle = (low + high) // 2
        booked = session.scalar(entries_of(account, Transaction.recorded_at).where(Entry.version == middle))
        if booked is not None and booked < instant:
            low = middle + 1
        else:
            high = middle
    return low


def _shifted(instant: datetime, by: timedelta) -> datetime:
    """Return an instant moved, but not beyond the first or last one that there is."""
    try:
        return instant + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if by > timedelta(0) else datetime.min.replace(tzinfo=UTC)
