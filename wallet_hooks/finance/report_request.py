"""The parameters of a report: period, customer, statement page, currency."""

from datetime import UTC, date, datetime, time
from typing import NamedTuple

from sqlalchemy import Engine

from wallet_hooks.clock import FIRST_YEAR, LAST_YEAR
from wallet_hooks.database import has_brand_schemas
from wallet_hooks.errors import RefusedError

FIRST_DAY = date(2000, 1, 1)  # by default the first day of a report


class StatementPage(NamedTuple):
    """A page of a statement: up to `limit` items after the item numbered `item`.

    `balance` is the wallet's balance after that item, a decimal string in the customer's currency. The first page is
    after item 0 and needs no balance.
    """

    limit: int
    item: int = 0
    balance: str = ""


class ReportRequest(NamedTuple):
    """A report's period (`first` and `last` day, both included) and the time of the request.

    A statement has a customer (brand and uid), and a page unless it is requested in full. A general ledger's journal
    has a currency, unless all are requested.
    """

    first: date
    last: date
    customer: tuple[str, str] | None
    now: datetime
    page: StatementPage | None = None
    currency: str | None = None

    @property
    def instants(self) -> tuple[datetime, datetime]:
        """The period's first and last instant, for reports by UTC day."""
        return datetime.combine(self.first, time.min, UTC), datetime.combine(self.last, time.max, UTC)


def customer_of(engine: Engine, client: str | None, uid: str | None) -> tuple[str, str] | None:
    """Return the brand and uid of a report's customer; None without one. Raises RefusedError (`customer`).

    Where each brand has a schema, a report may be of a brand without a customer.
    """
    if (client is None) != (uid is None) and not (uid is None and has_brand_schemas(engine)):
        raise RefusedError("customer", "brand and uid: both or neither are required")
    return None if client is None or uid is None else (client, uid)


def check_period(first: date, last: date) -> None:
    """Raise RefusedError (`bad_period`) unless the days are a period within the years that are accepted."""
    if first > last:
        raise RefusedError("bad_period", f"the period ends ({last}) before it begins ({first})")
    if not FIRST_YEAR <= first.year <= last.year <= LAST_YEAR:
        raise RefusedError(
            "bad_period", f"the period {first} to {last}: years {FIRST_YEAR} to {LAST_YEAR} are accepted"
        )


def read_day(name: str, text: str) -> date:
    """Return the day of a parameter. Raises RefusedError (`bad_period`)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError("bad_period", f"{name}: {text!r}; a date such as 2026-11-21 is expected") from None
