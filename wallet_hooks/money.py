"""Amounts: integers in minor units in code and database, decimal strings outside, never floats."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal

from iso4217 import Currency

# The largest amount of one payment, stake or payout, in minor units. Sums of thousands of them still fit a BIGINT.
MAX_AMOUNT = 10**15 - 1
# Limits go up to 1e18 in major units (docs/protocols/customers.md).
MAX_LIMIT_MAJOR = 10**18


class MoneyError(ValueError):
    """An invalid amount, rate or currency; the message may be shown to the caller."""


class AmountError(MoneyError):
    """A text is not a valid amount of its currency, or the amount is out of range."""


class UnknownCurrencyError(MoneyError):
    """The currency is not in ISO 4217, the settings or the stored currencies, or it is no longer offered."""


class CurrencyMismatchError(Exception):
    """A currency is stored with other decimals than this process has for it.

    The message is one line for operators. Not a MoneyError, because the caller's input is not wrong.
    """


# The form of a currency's code, as ISO 4217 has it, and longer ones.
CURRENCY_CODE = "[A-Z]{3,6}"
MAX_DECIMALS = 8  # of a currency, as the settings accept it
# The grammar of a decimal amount in text.
AMOUNT = re.compile(r"(\d{1,19})(?:\.(\d{1,18}))?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_RATE = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_ISO: Mapping[str, int] = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


@dataclass(slots=True)
class _Currencies:
    """The currencies of this process, each with its number of decimals.

    `offered` are those of ISO 4217 and the settings. `stored` are those in the ledger, even if they are no longer
    offered. `mismatched` has a message for each currency that is stored with other decimals than it is offered with.
    """

    offered: Mapping[str, int] = field(default_factory=lambda: _ISO)
    stored: dict[str, int] = field(default_factory=dict)
    mismatched: dict[str, str] = field(default_factory=dict)
    read_stored: Callable[[], Mapping[str, int]] = dict


_currencies = _Currencies()


def configure(minor_units: Mapping[str, int]) -> None:
    """Offer ISO 4217's currencies and these, each with its number of decimals (`{"BTC": 8}`).

    Clears the stored currencies. Raises MoneyError for a currency that ISO 4217 has with other decimals.
    """
    for code, scale in minor_units.items():
        if _ISO.get(code, scale) != scale:
            raise MoneyError(f"{code} has {_ISO[code]} decimals, not {scale}")
    _currencies.offered = {**_ISO, **minor_units}
    _currencies.stored, _currencies.mismatched, _currencies.read_stored = {}, {}, dict


def set_stored_reader(read_stored: Callable[[], Mapping[str, int]]) -> None:
    """Set the function with which `decimals` reads the stored currencies when it meets one that is not registered.

    Another process may have been the first to use that currency.
    """
    _currencies.read_stored = read_stored


def register_stored(stored: Mapping[str, int]) -> None:
    """Register stored currencies, with the decimals that their amounts were written with.

    Raises CurrencyMismatchError that names each currency offered with other decimals; from then on, amounts in it are
    neither read nor written.
    """
    problems = []
    for code, scale in stored.items():
        offered = _currencies.offered.get(code, scale)
        if offered == scale:
            _currencies.stored[code] = scale
        else:
            source = "ISO 4217 (library iso4217)" if code in _ISO else "WALLET_HOOKS_CURRENCIES"
            problem = f"{code}: {source} says {offered} decimals, the ledger's amounts have {scale}"
            _currencies.mismatched[code] = problem
            _currencies.stored.pop(code, None)
            problems.append(problem)
    if problems:
        raise CurrencyMismatchError("; ".join(problems))


def is_currency(code: str) -> bool:
    """Return whether amounts in the currency can be read and written. Raises CurrencyMismatchError."""
    try:
        decimals(code)
    except UnknownCurrencyError:
        return False
    return True


def is_offered(code: str) -> bool:
    """Return whether new bets and deposits in the currency are accepted; a stored currency may not be."""
    return code in _currencies.offered


def check_offered(code: str) -> None:
    """Raise UnknownCurrencyError if the currency is unknown or no longer offered. Raises CurrencyMismatchError."""
    decimals(code)
    if not is_offered(code):
        raise UnknownCurrencyError(f"currency {code!r} is not offered any more: it is not in WALLET_HOOKS_CURRENCIES")


def decimals(currency: str) -> int:
    """Return the currency's number of decimals. Raises UnknownCurrencyError, CurrencyMismatchError."""
    scale = _currencies.stored.get(currency)
    return _decimals_after_reading_stored(currency) if scale is None else scale


def known_decimals(currency: str) -> int:
    """Return as `decimals` does, without reading the stored currencies."""
    if currency in _currencies.mismatched:
        raise CurrencyMismatchError(_currencies.mismatched[currency])
    scale = _currencies.stored.get(currency, _currencies.offered.get(currency))
    if scale is None:
        raise UnknownCurrencyError(f"unknown currency {currency!r}")
    return scale


def _decimals_after_reading_stored(currency: str) -> int:
    if currency not in _currencies.mismatched:
        stored = _currencies.read_stored()
        with suppress(CurrencyMismatchError):  # for another currency; for this one it is raised below
            register_stored(stored)
    return known_decimals(currency)


def parse_amount(text: str, currency: str, *, maximum: int = MAX_AMOUNT) -> int:
    """Parse `digits[.digits]` into minor units of the currency.

    ASCII only: no sign, exponent, grouping or white space. Trailing zeros are accepted (`1.000` EUR is 100). Raises
    AmountError and UnknownCurrencyError.
    """
    scale = decimals(currency)
    match = AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError("not an amount: up to 19 digits, with an optional point and up to 18 decimals, are expected")
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    if len(fraction) > scale:
        raise AmountError(f"{currency} has {scale} decimals")
    minor = int(whole + fraction.ljust(scale, "0"))
    if minor > maximum:
        raise AmountError("amount out of range")
    return minor


def parse_limit(text: str, currency: str) -> int:
    """Parse a limit, up to 1e18 in major units, into minor units. Raises as `parse_amount` does."""
    return parse_amount(text, currency, maximum=MAX_LIMIT_MAJOR * 10 ** decimals(currency))


def parse_number(text: str, currency: str, *, maximum: int | None = None, rounding: str | None = None) -> int:
    """Parse the text of a JSON number into minor units, exactly: `15000.0` and `1e18` are accepted.

    `maximum` is in minor units; the default is the highest limit. More decimals than the currency's are rounded by
    `rounding`, ROUND_FLOOR or ROUND_CEILING. Raises AmountError, for more decimals without it, and
    UnknownCurrencyError.
    """
    scale = decimals(currency)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise AmountError(
            "not an amount: a number from 0 up, with at most 40 digits on each side of the point, is expected"
        )
    fraction = match[2] or ""
    shift = int(match[3] or 0) - len(fraction) + scale
    digits = int(match[1] + fraction)
    minor, rest = divmod(digits * int(10 ** max(shift, 0)), int(10 ** max(-shift, 0)))
    if rest and rounding is None:
        raise AmountError(f"{currency} has {scale} decimals")
    if rest and rounding == ROUND_CEILING:
        minor += 1
    if minor > (MAX_LIMIT_MAJOR * 10**scale if maximum is None else maximum):
        raise AmountError("amount out of range")
    return minor


def parse_signed(text: str, parse: Callable[[str], int]) -> int:
    """Parse a text that may have a minus sign; `parse` reads the rest, and its errors are raised."""
    return -parse(text[1:]) if text.startswith("-") else parse(text)


class _PlainDecimal(Decimal):
    """A decimal whose text never has an exponent: JSON readers get `0.00000001`, not `1E-8`."""

    def __str__(self) -> str:
        return f"{self:f}"


def as_decimal(minor: int, currency: str) -> Decimal:
    """Return minor units as an exact decimal in the currency's scale, for JSON numbers."""
    return _PlainDecimal(format_amount(minor, currency))


def format_amount(minor: int, currency: str) -> str:
    """Return minor units as a decimal string in the currency's scale: `"90.00"`, `"5000"`, `"0.123"`, `"-1.50"`."""
    scale = decimals(currency)
    digits = str(abs(minor)).rjust(scale + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def parse_rate(text: str) -> str:
    """Return a valid exchange rate: a positive decimal, at most 12 digits on each side. Raises AmountError."""
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise AmountError("not a rate: a positive decimal of at most 12 digits before and after the point is expected")
    return text


def convert(minor: int, source: str, target: str, rate: str, *, rounding: str = ROUND_HALF_EVEN) -> int:
    """Convert minor units of `source` into minor units of `target`, at `rate` target units for one source unit.

    Rounds half to even by default, so that conversions have no bias; `rounding` is a rounding mode of `decimal`.
    """
    shift = Decimal(1).scaleb(decimals(target) - decimals(source))
    exact = _EXACT.multiply(_EXACT.multiply(Decimal(minor), Decimal(rate)), shift)
    return int(exact.to_integral_value(rounding))
