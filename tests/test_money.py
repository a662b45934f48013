"""Amounts are exact both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks import money

currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


@given(st.integers(0, money.MAX_AMOUNT), currencies)
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    assert money.parse_amount(money.format_amount(minor, currency), currency) == minor


@given(st.text(max_size=12), currencies)
def test_any_text_is_an_amount_or_an_error(text: str, currency: str) -> None:
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
    money.add_currencies({"BTC": 8})
    assert money.parse_amount("0.00000001", "BTC") == 1


def test_unknown_currency_says_so() -> None:
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
def test_bad_rate_is_refused(rate: str) -> None:
    with pytest.raises(money.AmountError):
        money.parse_rate(rate)
