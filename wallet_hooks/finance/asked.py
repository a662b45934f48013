"""What is asked of a report."""

from datetime import UTC, date, datetime, time
from typing import NamedTuple

from wallet_hooks.errors import RefusedError

_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class Page(NamedTuple):
    """A part of a statement: so many items after one (its `item`), at which the wallet had `balance`.

    The first page is after item 0; `balance` is a decimal string in the customer's currency, and then not needed.
    """

    limit: int
    item: int = 0
    balance: str = ""


class Asked(NamedTuple):
    """A report's period, both days in it, and when it is asked for.

    Of a statement the customer (brand and uid), and the page where not all is wanted; of a general ledger's journal the
    currency where not all are.
    """

    first: date
    last: date
    customer: tuple[str, str] | None
    now: datetime
    page: Page | None = None
    currency: str | None = None

    @property
    def instants(self) -> tuple[datetime, datetime]:
        """The period's first and last instant, for what is by days of UTC."""
        return datetime.combine(self.first, time.min, UTC), datetime.combine(self.last, time.max, UTC)


def check_period(first: date, last: date) -> None:
    """Raises RefusedError where days are no period."""
    if first > last:
        raise RefusedError("bad_period", f"the period ends ({last}) before it begins ({first})")
    if not _FIRST_YEAR <= first.year <= last.year <= _LAST_YEAR:
        raise RefusedError("bad_period", f"a period lies in the years {_FIRST_YEAR} to {_LAST_YEAR}")
