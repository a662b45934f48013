"""Exchange rates: one unit of a source currency in units of a target currency.

An operator sets single pairs; imported reference rates (`quoted_on`) are all from the euro. A pair that was set is used
as it is, whatever was imported since; any other pair is crossed through the euro by reference rates.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, delete, func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import BulkStatement, RowSet, run
from wallet_hooks.ledger.models import ExchangeRate

PIVOT = "EUR"
CurrencyPair = tuple[str, str]  # source and target currency
_DIGITS = Context(prec=12, rounding=ROUND_HALF_EVEN)
_MAX_DECIMALS = 24


class RateRow(NamedTuple):
    """The rate of a pair that was set last, and its newest reference rate; None where there is none."""

    source: str
    target: str
    set_rate: str | None
    quoted_rate: str | None


_pairs = RowSet("pairs", ExchangeRate.source, ExchangeRate.target)


def _newest(is_kind: ColumnElement[bool]) -> ScalarSelect[str]:
    return (
        select(ExchangeRate.rate)
        .where(ExchangeRate.source == _pairs.c.source, ExchangeRate.target == _pairs.c.target, is_kind)
        .order_by(ExchangeRate.valid_from.desc(), ExchangeRate.id.desc())
        .limit(1)
        .correlate(_pairs)
        .scalar_subquery()
    )


RATES = BulkStatement(
    _pairs,
    lambda _: select(
        _pairs.c.source,
        _pairs.c.target,
        _newest(ExchangeRate.quoted_on.is_(None)).label("set_rate"),
        _newest(ExchangeRate.quoted_on.is_not(None)).label("quoted_rate"),
    ).select_from(_pairs),
    row=RateRow,
)


def pairs_to_read(pairs: Iterable[CurrencyPair]) -> list[CurrencyPair]:
    """Return the pairs whose stored rates decide the rates of the given pairs."""
    needed = {one for source, target in pairs for one in ((source, target), (PIVOT, source), (PIVOT, target))}
    return sorted(needed - {(PIVOT, PIVOT)})


def rates_of(pairs: Iterable[CurrencyPair], rows: Iterable[RateRow]) -> dict[CurrencyPair, str]:
    """Return the rate of each pair that has one, from the stored rates of `pairs_to_read`."""
    known = list(rows)
    set_rates = {(row.source, row.target): row.set_rate for row in known}
    quoted = {(row.source, row.target): row.quoted_rate for row in known if row.quoted_rate is not None}
    found = {}
    for source, target in pairs:
        rate = set_rates.get((source, target)) or _crossed(quoted, source, target)
        if rate is not None:
            found[source, target] = rate
    return found


def cross(euro_in_source: str, euro_in_target: str) -> str:
    """Return one source unit in target units, from the units that one euro is worth.

    A plain decimal of 12 significant digits, and of at most 24 decimals, which is what a wager stores.
    """
    rate = _DIGITS.divide(Decimal(euro_in_target), Decimal(euro_in_source)).normalize()
    return f"{round(rate, _MAX_DECIMALS).normalize() if rate < 1 else rate:f}"


def _crossed(quoted: Mapping[CurrencyPair, str], source: str, target: str) -> str | None:
    in_source = "1" if source == PIVOT else quoted.get((PIVOT, source))
    in_target = "1" if target == PIVOT else quoted.get((PIVOT, target))
    if in_source is None or in_target is None:
        return None
    rate = cross(in_source, in_target)
    return rate if Decimal(rate) else None


def read_rates(session: Session, pairs: Collection[CurrencyPair]) -> dict[CurrencyPair, str]:
    """Return the current rate of each pair that has one."""
    return rates_of(pairs, run(session.connection(), RATES(pairs_to_read(pairs))))


def rates_into(session: Session, target: str) -> dict[str, str]:
    """Return the current rates into a currency, by source currency."""
    is_useful = or_(ExchangeRate.target == target, ExchangeRate.source == PIVOT)
    stored = session.execute(select(ExchangeRate.source, ExchangeRate.target).where(is_useful).distinct())
    pairs = [(source, target) for source in sorted({one for pair in stored for one in pair} - {target})]
    return {source: rate for (source, _), rate in read_rates(session, pairs).items()}


def set_rate(session: Session, *, source: str, target: str, rate: str, now: datetime) -> None:
    """Store the price of one unit of `source` in units of `target`, valid from `now`. Taken bets keep their rate."""
    session.add(ExchangeRate(source=source, target=target, rate=rate, valid_from=now))


class ReferenceRate(NamedTuple):
    """A reference rate: one euro in units of a currency, on a day."""

    day: date
    currency: str
    rate: str


def import_reference_rates(session: Session, rates: Iterable[ReferenceRate]) -> int:
    """Store reference rates, each valid from the beginning (UTC) of its day. Return their number.

    A rate of the same day and currency is replaced. Bets keep the rate that they were taken at.
    """
    count = 0
    for rate in rates:
        count += 1
        valid_from = datetime.combine(rate.day, time(), UTC)
        same = (ExchangeRate.source == PIVOT, ExchangeRate.target == rate.currency)
        session.execute(delete(ExchangeRate).where(*same, ExchangeRate.quoted_on == rate.day))
        session.add(
            ExchangeRate(source=PIVOT, target=rate.currency, rate=rate.rate, valid_from=valid_from, quoted_on=rate.day)
        )
    session.flush()
    return count


def newest_reference_rates(session: Session) -> list[ReferenceRate]:
    """Return the reference rates of the newest imported day, by currency."""
    newest = select(func.max(ExchangeRate.quoted_on)).scalar_subquery()
    query = select(ExchangeRate).where(ExchangeRate.quoted_on == newest).order_by(ExchangeRate.target)
    return [ReferenceRate(one.quoted_on, one.target, one.rate) for one in session.scalars(query) if one.quoted_on]


def are_stale(day: date, *, today: date, max_age_days: int) -> bool:
    """Return whether reference rates of a day are older than the setting allows."""
    return today - day > timedelta(days=max_age_days)
