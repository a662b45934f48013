"""What counts against limits: per customer and local day, read and written set by set."""

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import select, true

from wallet_hooks.database.bulk import BulkStatement, RowSet, Writes, columns_of
from wallet_hooks.identity.policy import Policy
from wallet_hooks.limits.models import LimitUsage


class DayUsage(NamedTuple):
    """Minor units of the customer's currency; see `models.LimitUsage`."""

    staked: int = 0
    voided: int = 0
    returned: int = 0
    paid: int = 0
    deposited: int = 0

    def plus(self, other: "DayUsage") -> "DayUsage":
        return DayUsage(*map(int.__add__, self, other))


class UsageRow(NamedTuple):
    """A customer's usage of one day, as `models.LimitUsage` keeps it."""

    customer_id: int
    day: date
    staked: int
    voided: int
    returned: int
    paid: int
    deposited: int


_asked = RowSet("asked", LimitUsage.customer_id, since=LimitUsage.day)
USAGE_SINCE = BulkStatement(
    _asked,
    lambda _: select(*columns_of(LimitUsage, UsageRow)).select_from(
        _asked.join(LimitUsage, (LimitUsage.customer_id == _asked.c.customer_id) & (LimitUsage.day >= _asked.c.since))
    ),
    row=UsageRow,
)
_moved = RowSet.of("moved", LimitUsage, UsageRow)


def _add_usage(dialect: Any) -> Any:
    insert = dialect.insert(LimitUsage).from_select(_moved.names, select(*_moved.c).where(true()))
    return insert.on_conflict_do_update(
        index_elements=["customer_id", "day"],
        set_={name: getattr(LimitUsage, name) + insert.excluded[name] for name in DayUsage._fields},
    )


_ADD_USAGE: BulkStatement[Any] = BulkStatement(_moved, _add_usage)


class Usage:
    """Usage as it was read for a group of customers, moved on by what is decided for them."""

    def __init__(self) -> None:
        self._days: dict[int, dict[date, DayUsage]] = {}
        self._moved: dict[tuple[int, date], list[int]] = {}

    def load(self, rows: Iterable[UsageRow], customer_ids: Iterable[int] = ()) -> None:
        """Take in what was read for these customers: `used` knows of theirs alone."""
        for customer_id in customer_ids:
            self._days.setdefault(customer_id, {})
        for customer_id, day, *amounts in rows:
            self._days.setdefault(customer_id, {})[day] = DayUsage(*amounts)

    def add(self, customer_id: int, day: date, more: DayUsage) -> None:
        moved = self._moved.get((customer_id, day))
        self._moved[customer_id, day] = list(more) if moved is None else list(map(int.__add__, moved, more))
        days = self._days.get(customer_id)
        if days is not None:  # most customers have no limits, and nobody asks what they used
            days[day] = days.get(day, DayUsage()).plus(more)

    def used(self, type_: str, customer_id: int, first: date, last: date, policy: Policy) -> int:
        """What counts against a limit of a type, over the days from the first to the last."""
        days = self._days.get(customer_id, {})
        return sum(_counts(type_, usage, policy) for day, usage in days.items() if first <= day <= last)

    def add_to(self, writes: Writes) -> None:
        """Store what was moved."""
        writes.add(_ADD_USAGE([(*key, *usage) for key, usage in sorted(self._moved.items())]))


def _counts(type_: str, usage: DayUsage, policy: Policy) -> int:
    if type_ == "deposit":
        return usage.deposited
    if type_ == "bet":
        return usage.staked - usage.voided
    if policy.attribution == "cash":
        return usage.staked - usage.paid
    return usage.staked - usage.voided - usage.returned
