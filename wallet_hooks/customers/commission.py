"""Commission rates: percent of net winnings, each from a day on (docs/protocols/customers.md). Pure.

A schedule is stored in the customer's row, so that it is read under the customer's lock.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from wallet_hooks.errors import RefusedError

# (from day, percent as a plain decimal), oldest first.
Schedule = tuple[tuple[date, str], ...]
_MAX_RATES = 1000
_MAX_DECIMALS = 6


def schedule_of(pairs: Iterable[Sequence[str]]) -> Schedule:
    """Return a schedule from `[["2026-03-01", "2.5"]]`, as `pairs_of` gives it."""
    return tuple((date.fromisoformat(day), rate) for day, rate in pairs) if pairs else ()


def pairs_of(schedule: Schedule) -> list[list[str]]:
    """Return a schedule as lists for JSON."""
    return [[day.isoformat(), rate] for day, rate in sorted(schedule)]


def parse_percent(text: str) -> str:
    """Return a rate of 0 to 100 percent with up to 6 decimals, as a plain decimal. Raises RefusedError."""
    if len(text) > 40:
        raise RefusedError("bad_rate", "rate: at most 40 characters")
    try:
        rate = Decimal(text)
    except ArithmeticError:
        raise RefusedError("bad_rate", "rate: a number is expected") from None
    exponent = rate.as_tuple().exponent
    if not rate.is_finite() or not 0 <= rate <= 100 or (isinstance(exponent, int) and exponent < -_MAX_DECIMALS):
        raise RefusedError("bad_rate", f"rate: 0 to 100 percent with up to {_MAX_DECIMALS} decimals")
    return f"{abs(rate):f}"


def with_rate(schedule: Schedule, *, date_from: date, rate: str) -> Schedule:
    """Return the schedule with a rate added or replaced for its day. Raises RefusedError where it has too many."""
    changed = {**dict(schedule), date_from: rate}
    if len(changed) > _MAX_RATES:
        raise RefusedError("bad_rate", f"a customer has at most {_MAX_RATES} commission rates")
    return tuple(sorted(changed.items()))


def rate_on(schedule: Schedule, day: date) -> tuple[date, str] | None:
    """Return the rate in force on a day with its first day; None before the first rate."""
    in_force = None
    for since, rate in schedule:
        if since > day:
            break
        in_force = (since, rate)
    return in_force


def commission_due(net_winnings: int, percent: str | None) -> int:
    """Return the commission on net winnings in minor units, rounded half to even; 0 on losses."""
    if percent is None or net_winnings <= 0:
        return 0
    with localcontext(prec=60):
        return int((Decimal(net_winnings) * Decimal(percent) / 100).to_integral_value(ROUND_HALF_EVEN))
