"""Limit usage per customer and local day: bulk reads and writes, and the amounts that count against a limit."""

from collections.abc import Iterable
from datetime import date
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import select

from wallet_hooks.database.bulk import BulkStatement, RowSet, columns_of, insert_from, unique_key
from wallet_hooks.database.writes import Writes
from wallet_hooks.identity.policy import Policy
from wallet_hooks.limits.models import LimitUsage


class DayUsage(NamedTuple):
    """One day's amounts, in minor units of the customer's currency; see `models.LimitUsage`."""

    staked: int = 0
    voided: int = 0
    returned: int = 0
    paid: int = 0
    deposited: int = 0

    def plus(self, other: "DayUsage") -> "DayUsage":
        return DayUsage(*map(add, self, other))


class UsageRow(NamedTuple):
    """A customer's usage on one local day: a row of `models.LimitUsage`."""

    customer_id: int
    day: date
    staked: int
    voided: int
    returned: int
    paid: int
    deposited: int


_requested = RowSet("requested", LimitUsage.customer_id, since=LimitUsage.day)
USAGE_SINCE = BulkStatement(
    _requested,
    lambda _: select(*columns_of(LimitUsage, UsageRow)).select_from(
        _requested.join(
            LimitUsage,
            (LimitUsage.customer_id == _requested.c.customer_id) & (LimitUsage.day >= _requested.c.since),
        )
    ),
    row=UsageRow,
)
_added = RowSet.of("added", LimitUsage, UsageRow)


def _add_usage(dialect: Any) -> Any:
    insert = insert_from(dialect, _added, LimitUsage)
    return insert.on_conflict_do_update(
        index_elements=unique_key(LimitUsage),
        set_={name: getattr(LimitUsage, name) + insert.excluded[name] for name in DayUsage._fields},
    )


_ADD_USAGE: BulkStatement[Any] = BulkStatement(_added, _add_usage)


class Usage:
    """Stored usage of a batch of customers, plus what the batch adds."""

    def __init__(self) -> None:
        self._days: dict[int, dict[date, DayUsage]] = {}
        self._added: dict[tuple[int, date], list[int]] = {}

    def load(self, rows: Iterable[UsageRow], customer_ids: Iterable[int] = ()) -> None:
        """Add rows that were read. `used` counts only the customers named here or in a row."""
        for customer_id in customer_ids:
            self._days.setdefault(customer_id, {})
        for customer_id, day, *amounts in rows:
            self._days.setdefault(customer_id, {})[day] = DayUsage(*amounts)

    def add(self, customer_id: int, day: date, more: DayUsage) -> None:
        added = self._added.get((customer_id, day))
        self._added[customer_id, day] = list(more) if added is None else list(map(int.__add__, added, more))
        days = self._days.get(customer_id)
        if days is not None:  # most customers have no limits: their usage is never read
            days[day] = days.get(day, DayUsage()).plus(more)

    def release_deposit(self, customer_id: int, day: date, amount: int) -> None:
        """Stop counting a reserved deposit that has expired. Not written: it counts in the table until it fails."""
        days = self._days[customer_id]
        days[day] = days.get(day, DayUsage()).plus(DayUsage(deposited=-amount))

    def used(self, type_: str, customer_id: int, first: date, last: date, policy: Policy) -> int:
        """Return the minor units that count against a limit of a type, from the first to the last day inclusive."""
        days = self._days.get(customer_id, {})
        return sum(_counts(type_, usage, policy) for day, usage in days.items() if first <= day <= last)

    def add_to(self, writes: Writes) -> None:
        """Write the added usage."""
        writes.add(_ADD_USAGE([(*key, *usage) for key, usage in sorted(self._added.items())]))


def _counts(type_: str, usage: DayUsage, policy: Policy) -> int:
    if type_ == "deposit":
        return usage.deposited
    if type_ == "bet":
        return usage.staked - usage.voided
    if policy.attribution == "cash":
        return usage.staked - usage.paid
    return usage.staked - usage.voided - usage.returned
