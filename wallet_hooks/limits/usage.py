"""What counts against limits: per customer and local day, read and written set by set."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from wallet_hooks.database import Call, RowStatement, as_day
from wallet_hooks.identity.policy import Policy

_FIELDS = ("staked", "voided", "returned", "paid", "deposited")
USAGE_SINCE = RowStatement(
    f"SELECT u.customer_id, u.day, {', '.join(f'u.{field}' for field in _FIELDS)} FROM {{asked}}"
    " JOIN limit_usage u ON u.customer_id = asked.customer_id AND u.day >= asked.since",
    asked={"customer_id": "bigint", "since": "date"},
)
_ADD_USAGE = RowStatement(
    f"INSERT INTO limit_usage (customer_id, day, {', '.join(_FIELDS)})"
    f" SELECT customer_id, day, {', '.join(_FIELDS)} FROM {{moved}} WHERE true ON CONFLICT (customer_id, day)"
    f" DO UPDATE SET {', '.join(f'{field} = limit_usage.{field} + excluded.{field}' for field in _FIELDS)}",
    moved={"customer_id": "bigint", "day": "date"} | dict.fromkeys(_FIELDS, "bigint"),
)


class DayUsage(NamedTuple):
    """Minor units of the customer's currency; see `models.LimitUsage`."""

    staked: int = 0
    voided: int = 0
    returned: int = 0
    paid: int = 0
    deposited: int = 0

    def plus(self, other: "DayUsage") -> "DayUsage":
        return DayUsage(*map(int.__add__, self, other))


class Usage:
    """Usage as it was read for a group of customers, moved on by what is decided for them."""

    def __init__(self) -> None:
        self._days: dict[int, dict[date, DayUsage]] = {}
        self._moved: dict[tuple[int, date], list[int]] = {}

    def load(self, rows: Iterable[Sequence[Any]], customer_ids: Iterable[int] = ()) -> None:
        """Take in rows of USAGE_SINCE, for these customers: of theirs alone it can be told what is used."""
        for customer_id in customer_ids:
            self._days.setdefault(customer_id, {})
        for customer_id, day, *amounts in rows:
            self._days.setdefault(customer_id, {})[as_day(day)] = DayUsage(*amounts)

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

    def writes(self) -> list[Call]:
        """The calls that store what was moved, for `write_at_once`."""
        rows = [(*key, *usage) for key, usage in sorted(self._moved.items())]
        return [_ADD_USAGE(rows)] if rows else []


def _counts(type_: str, usage: DayUsage, policy: Policy) -> int:
    if type_ == "deposit":
        return usage.deposited
    if type_ == "bet":
        return usage.staked - usage.voided
    if policy.attribution == "cash":
        return usage.staked - usage.paid
    return usage.staked - usage.voided - usage.returned
