"""Amounts: integers in minor units inside, decimal strings outside, never a float."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal

from iso4217 import Currency

# The largest amount of one movement, in minor units. Sums of thousands of them still fit a BIGINT.
MAX_AMOUNT = 10**15 - 1
# MollyBet takes limits up to 1e18 in major units (seeds/000).
MAX_LIMIT_MAJOR = 10**18


class MoneyError(ValueError):
    """Not money as we know it; the message may be shown to whoever sent it."""


class AmountError(MoneyError):
    """A text is not an amount of its currency, or is out of range."""


class UnknownCurrencyError(MoneyError):
    """Neither ISO 4217 nor the settings know the currency."""


_AMOUNT = re.compile(r"(\d{1,19})(?:\.(\d{1,18}))?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_RATE = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_minor_units: dict[str, int] = {
    currency.code: currency.exponent for currency in Currency if currency.exponent is not None
}


def add_currencies(minor_units: Mapping[str, int]) -> None:
    """Make currencies known beyond ISO 4217, each with its number of decimals (`{"BTC": 8}`).

    Raises MoneyError for one that is known with other decimals: every stored amount of it would change its meaning.
    """
    for code, scale in minor_units.items():
        if _minor_units.setdefault(code, scale) != scale:
            raise MoneyError(f"{code} has {_minor_units[code]} decimals, not {scale}")


def is_currency(code: str) -> bool:
    return code in _minor_units


def decimals(currency: str) -> int:
    """How many decimals the currency has. Raises UnknownCurrencyError."""
    try:
        return _minor_units[currency]
    except KeyError:
        raise UnknownCurrencyError(f"unknown currency {currency!r}") from None


def parse_amount(text: str, currency: str, *, maximum: int = MAX_AMOUNT) -> int:
    """Read `digits[.digits]` as minor units of the currency.

    Plain ASCII only: no sign, exponent, grouping or white space. Trailing zeros are exact (`1.000` EUR is 100).
    Raises AmountError and UnknownCurrencyError.
    """
    scale = decimals(currency)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError("not an amount: digits, with an optional point and decimals, are expected")
    whole, fraction = match[1], (match[2] or "").rstrip("0")
    if len(fraction) > scale:
        raise AmountError(f"{currency} has {scale} decimals")
    minor = int(whole + fraction.ljust(scale, "0"))
    if minor > maximum:
        raise AmountError("amount out of range")
    return minor


def parse_limit(text: str, currency: str) -> int:
    """Read a limit, which may be as high as 1e18 in major units, as minor units."""
    return parse_amount(text, currency, maximum=MAX_LIMIT_MAJOR * 10 ** decimals(currency))


def parse_number(text: str, currency: str, *, maximum: int | None = None) -> int:
    """Read a JSON number as minor units, exactly: `15000.0` and `1e18` are amounts, however they were written.

    `maximum` is in minor units; without it the number may be as high as a limit may. Raises AmountError and
    UnknownCurrencyError.
    """
    scale = decimals(currency)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise AmountError("not an amount: a number that is not negative is expected")
    fraction = match[2] or ""
    shift = int(match[3] or 0) - len(fraction) + scale
    sent = int(match[1] + fraction)
    minor, rest = divmod(sent * int(10 ** max(shift, 0)), int(10 ** max(-shift, 0)))
    if rest:
        raise AmountError(f"{currency} has {scale} decimals")
    if minor > (MAX_LIMIT_MAJOR * 10**scale if maximum is None else maximum):
        raise AmountError("amount out of range")
    return minor


def as_decimal(minor: int, currency: str) -> Decimal:
    """Minor units as an exact decimal in the currency's scale, for what is written as a JSON number."""
    return Decimal(format_amount(minor, currency))


def format_amount(minor: int, currency: str) -> str:
    """Minor units as a decimal string in the currency's scale: `"90.00"`, `"5000"`, `"0.123"`, `"-1.50"`."""
    scale = decimals(currency)
    digits = str(abs(minor)).rjust(scale + 1, "0")
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def parse_rate(text: str) -> str:
    """Check an exchange rate: a positive decimal of at most 12 digits on either side. Raises AmountError."""
    if not _RATE.fullmatch(text) or not Decimal(text):
        raise AmountError("not a rate: a positive decimal is expected")
    return text


def convert(minor: int, source: str, target: str, rate: str, *, rounding: str = ROUND_HALF_EVEN) -> int:
    """`minor` units of `source` in minor units of `target`, at `rate` target units for one source unit.

    Halves go to the even unit, so that conversions have no drift, unless another of decimal's roundings is asked for.
    """
    shift = Decimal(1).scaleb(decimals(target) - decimals(source))
    exact = _EXACT.multiply(_EXACT.multiply(Decimal(minor), Decimal(rate)), shift)
    return int(exact.to_integral_value(rounding))
