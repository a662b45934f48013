"""Amounts, rates and currencies: parsing and formatting are exact."""

import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks import money

currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


@given(st.integers(0, money.MAX_AMOUNT), currencies)
def test_a_formatted_amount_parses_to_the_same_amount(minor: int, currency: str) -> None:
    assert money.parse_amount(money.format_amount(minor, currency), currency) == minor


@given(st.text(max_size=12), currencies)
def test_any_text_is_an_amount_or_raises_amount_error(text: str, currency: str) -> None:
    try:
        minor = money.parse_amount(text, currency)
    except money.AmountError:
        return
    assert text.isascii()
    assert text.replace(".", "").isdigit()
    assert 0 <= minor <= money.MAX_AMOUNT


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (9000, "EUR", "90.00"),
        (5000, "JPY", "5000"),
        (123, "KWD", "0.123"),
        (-150, "EUR", "-1.50"),
        (-5, "EUR", "-0.05"),
    ],
)
def test_amounts_have_their_currency_s_scale(minor: int, currency: str, text: str) -> None:
    assert money.format_amount(minor, currency) == text


def test_currencies_can_be_added() -> None:
    money.configure({"BTC": 8})
    assert money.parse_amount("0.00000001", "BTC") == 1


def test_decimals_of_iso_4217_cannot_be_changed() -> None:
    with pytest.raises(money.MoneyError, match="JPY has 0 decimals, not 2"):
        money.configure({"JPY": 2})


def test_a_stored_currency_is_known_but_not_offered() -> None:
    money.register_stored({"BTC": 8})
    assert money.format_amount(1, "BTC") == "0.00000001"
    assert money.is_currency("BTC")
    assert not money.is_offered("BTC")
    with pytest.raises(money.UnknownCurrencyError, match="'BTC' is not offered any more"):
        money.check_offered("BTC")


def test_other_decimals_than_stored_block_amounts_in_that_currency_only() -> None:
    money.configure({"BTC": 6})
    for _ in range(2):
        with pytest.raises(money.CurrencyMismatchError, match=r"BTC: WALLET_HOOKS_CURRENCIES says 6 .* have 8$"):
            money.register_stored({"BTC": 8, "JPY": 0})
    with pytest.raises(money.CurrencyMismatchError):
        money.parse_amount("1", "BTC")
    assert money.parse_amount("1", "JPY") == 1


def test_changed_decimals_in_iso_4217_are_detected() -> None:
    with pytest.raises(money.CurrencyMismatchError, match=r"ISK: ISO 4217 \(library iso4217\) says 0 decimals"):
        money.register_stored({"ISK": 2, "EUR": 2})


def test_stored_currencies_are_read_for_an_unregistered_currency() -> None:
    stored = {"EUR": 2}
    money.set_stored_reader(lambda: stored)
    with pytest.raises(money.UnknownCurrencyError):
        money.decimals("BTC")
    stored["BTC"] = 8
    assert money.decimals("BTC") == 8
    stored.clear()
    assert money.decimals("BTC") == 8


def test_an_unknown_currency_raises_an_error() -> None:
    with pytest.raises(money.UnknownCurrencyError):
        money.parse_amount("1", "QQQ")


@pytest.mark.parametrize(
    ("minor", "source", "target", "rate", "converted"),
    [
        (1000, "EUR", "GBP", "0.855", 855),
        (100, "JPY", "EUR", "0.006", 60),
        (1, "EUR", "KWD", "0.25", 2),
        (3, "EUR", "EUR", "0.5", 2),
    ],
)
def test_conversion_rounds_half_to_even(minor: int, source: str, target: str, rate: str, converted: int) -> None:
    assert money.convert(minor, source, target, rate) == converted


@pytest.mark.parametrize("rate", ["0", "-1", "1e3", "", "0.0", "x", "1" * 13])
def test_an_invalid_rate_is_refused(rate: str) -> None:
    with pytest.raises(money.AmountError):
        money.parse_rate(rate)


def test_a_decimal_for_json_never_has_an_exponent() -> None:
    money.configure({"BTC": 8})
    assert [str(money.as_decimal(minor, "BTC")) for minor in (0, 1, -1)] == ["0.00000000", "0.00000001", "-0.00000001"]
    assert simplejson.dumps(money.as_decimal(1, "BTC"), use_decimal=True) == "0.00000001"
