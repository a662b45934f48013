"""Amounts: integers in minor units inside, decimal strings outside, never a float."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
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
    """The currency is neither in ISO 4217 nor in the settings nor stored, or is not offered any more."""


class CurrencyMismatchError(Exception):
    """Stored amounts have other decimals than this process has for their currency.

    The message is one line for operators. It is no MoneyError: nothing is wrong with what a caller sent.
    """


_AMOUNT = re.compile(r"(\d{1,19})(?:\.(\d{1,18}))?", re.ASCII)
_NUMBER = re.compile(r"(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_RATE = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)

_ISO: Mapping[str, int] = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


@dataclass(slots=True)
class _Known:
    """The currencies that this process knows, each with its number of decimals.

    `offered` are ISO 4217's and the settings'. `stored` are those that the ledger keeps, also after they have left the
    list; `mismatched` are stored with other decimals than they are offered with: what is wrong with each.
    """

    offered: Mapping[str, int] = field(default_factory=lambda: _ISO)
    stored: dict[str, int] = field(default_factory=dict)
    mismatched: dict[str, str] = field(default_factory=dict)
    read_stored: Callable[[], Mapping[str, int]] = dict


_known = _Known()


def configure(minor_units: Mapping[str, int]) -> None:
    """Offer these currencies beside ISO 4217's, each with its number of decimals (`{"BTC": 8}`), and no others.

    Resets what was known of stored currencies. Raises MoneyError for one that ISO 4217 has with other decimals.
    """
    for code, scale in minor_units.items():
        if _ISO.get(code, scale) != scale:
            raise MoneyError(f"{code} has {_ISO[code]} decimals, not {scale}")
    _known.offered = {**_ISO, **minor_units}
    _known.stored, _known.mismatched, _known.read_stored = {}, {}, dict


def confirm_with(read_stored: Callable[[], Mapping[str, int]]) -> None:
    """Have `decimals` ask for the stored currencies when it meets one that is not known to be stored.

    So a process learns the currencies that another one is the first to use.
    """
    _known.read_stored = read_stored


def learn(stored: Mapping[str, int]) -> None:
    """Know these currencies as stored, with the decimals that their amounts were written with.

    Raises CurrencyMismatchError, naming each that is offered with other decimals; amounts in it are neither read nor
    written from then on.
    """
    problems = []
    for code, scale in stored.items():
        offered = _known.offered.get(code, scale)
        if offered == scale:
            _known.stored[code] = scale
        else:
            source = "ISO 4217 (library iso4217)" if code in _ISO else "WALLET_HOOKS_CURRENCIES"
            problem = f"{code}: {source} says {offered} decimals, the ledger's amounts have {scale}"
            _known.mismatched[code] = problem
            _known.stored.pop(code, None)
            problems.append(problem)
    if problems:
        raise CurrencyMismatchError("; ".join(problems))


def is_currency(code: str) -> bool:
    """Whether amounts in it can be read and written. Raises CurrencyMismatchError."""
    try:
        decimals(code)
    except UnknownCurrencyError:
        return False
    return True


def is_offered(code: str) -> bool:
    """Whether new business in it is taken. A stored currency that has left the list is known, but not offered."""
    return code in _known.offered


def check_offered(code: str) -> None:
    """Raises UnknownCurrencyError unless new business in the currency is taken, and CurrencyMismatchError."""
    decimals(code)
    if not is_offered(code):
        raise UnknownCurrencyError(f"currency {code!r} is not offered any more: it is not in WALLET_HOOKS_CURRENCIES")


def decimals(currency: str) -> int:
    """How many decimals the currency has. Raises UnknownCurrencyError, CurrencyMismatchError."""
    scale = _known.stored.get(currency)
    return _confirmed(currency) if scale is None else scale


def decimals_here(currency: str) -> int:
    """As `decimals`, as far as this process knows, without asking for what is stored."""
    if currency in _known.mismatched:
        raise CurrencyMismatchError(_known.mismatched[currency])
    scale = _known.stored.get(currency, _known.offered.get(currency))
    if scale is None:
        raise UnknownCurrencyError(f"unknown currency {currency!r}")
    return scale


def _confirmed(currency: str) -> int:
    if currency not in _known.mismatched:
        stored = _known.read_stored()
        with suppress(CurrencyMismatchError):  # of another currency; of this one, it is raised below
            learn(stored)
    return decimals_here(currency)


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
