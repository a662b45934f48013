"""Commission rates: percent of net winnings, each from a day on (seeds/000). Pure.

A schedule is kept on the customer's row, so that whoever locks the customer reads the rates that are in force.
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
    """A schedule from `[["2026-03-01", "2.5"]]`, as `pairs_of` gives it."""
    return tuple((date.fromisoformat(day), rate) for day, rate in pairs)


def pairs_of(schedule: Schedule) -> list[list[str]]:
    """A schedule as JSON has it."""
    return [[day.isoformat(), rate] for day, rate in sorted(schedule)]


def parse_percent(text: str) -> str:
    """A rate of 0 to 100 percent with up to 6 decimals, as a plain decimal. Raises RefusedError."""
    if len(text) > 40:
        raise RefusedError("bad_rate", "a rate has at most 40 characters")
    try:
        rate = Decimal(text)
    except ArithmeticError:
        raise RefusedError("bad_rate", "a rate is a number") from None
    exponent = rate.as_tuple().exponent
    if not rate.is_finite() or not 0 <= rate <= 100 or (isinstance(exponent, int) and exponent < -_MAX_DECIMALS):
        raise RefusedError("bad_rate", f"a rate is 0 to 100 percent with up to {_MAX_DECIMALS} decimals")
    return f"{abs(rate):f}"


def with_rate(schedule: Schedule, *, date_from: date, rate: str) -> Schedule:
    """The schedule with one more rate; one of the same day is replaced. Raises RefusedError where it gets too long."""
    changed = {**dict(schedule), date_from: rate}
    if len(changed) > _MAX_RATES:
        raise RefusedError("bad_rate", f"a customer has at most {_MAX_RATES} commission rates")
    return tuple(sorted(changed.items()))


def rate_on(schedule: Schedule, day: date) -> tuple[date, str] | None:
    """The rate in force on a day, with the day that it came into force; None before the first."""
    in_force = None
    for since, rate in schedule:
        if since > day:
            break
        in_force = (since, rate)
    return in_force


def commission_due(net_winnings: int, percent: str | None) -> int:
    """Commission on net winnings in minor units, halves to the even unit; losses owe none."""
    if percent is None or net_winnings <= 0:
        return 0
    with localcontext(prec=60):
        return int((Decimal(net_winnings) * Decimal(percent) / 100).to_integral_value(ROUND_HALF_EVEN))
