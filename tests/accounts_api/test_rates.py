"""Reference rates: imported from files, used by bets, listed by the API, and stale after a while."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from tests.accounts_api.client import AccountClient
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.ledger.rates import RateRow, cross, pairs_to_read, rates_of, set_rate

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ECB = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
    xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
  <gesmes:subject>Reference rates</gesmes:subject>
  <Cube><Cube time="2026-11-20">
    <Cube currency="USD" rate="1.1600"/><Cube currency="GBP" rate="0.8800"/><Cube currency="JPY" rate="180.5"/>
  </Cube></Cube>
</gesmes:Envelope>
"""
CSV = "date,currency,rate\n2026-11-19,USD,1.1500\n2026-11-19,GBP,0.8700\n"
_RATES = st.decimals(min_value="0.0001", max_value="100000", places=4)


@given(_RATES, _RATES)
def test_a_crossed_rate_has_at_least_five_significant_digits(source: Decimal, target: Decimal) -> None:
    exact = target / source
    text = cross(str(source), str(target))
    assert abs(Decimal(text) - exact) <= exact * Decimal("1e-11")
    assert len(text) <= 26  # what a wager stores
    assert text == "1" or not text.endswith("0") or "." not in text


def test_a_rate_that_was_set_comes_before_a_crossed_one() -> None:
    pairs = [("USD", "GBP"), ("USD", "EUR"), ("EUR", "GBP"), ("USD", "SEK")]
    assert ("EUR", "EUR") not in pairs_to_read(pairs)
    quoted = [RateRow("EUR", "USD", None, "2"), RateRow("EUR", "GBP", None, "0.5"), RateRow("EUR", "SEK", None, None)]
    crossed = rates_of(pairs, quoted)
    assert {pair: Decimal(rate) for pair, rate in crossed.items()} == {
        ("USD", "GBP"): Decimal("0.25"), ("USD", "EUR"): Decimal("0.5"), ("EUR", "GBP"): Decimal("0.5"),
    }  # fmt: skip
    assert rates_of(pairs[:1], [*quoted, RateRow("USD", "GBP", "0.7", None)]) == {("USD", "GBP"): "0.7"}
    # A pair that was set is neither replaced by a reference rate nor a part of a crossed one.
    set_too = [RateRow("EUR", "USD", "9", "2"), *quoted[1:]]
    assert rates_of([("EUR", "USD")], set_too) == {("EUR", "USD"): "9"}
    assert rates_of(pairs[:1], set_too) == {pairs[0]: crossed[pairs[0]]}


@pytest.fixture
def shell(world: World) -> Shell:
    return Shell(world.settings.database_url)


def imported(shell: Shell, directory: Path, content: str) -> str:
    file = directory / "rates"
    file.write_text(content)
    return str(shell.ok("rates", "import", str(file)))


def test_files_of_the_bank_and_csv_are_imported_with_their_days(shell: Shell, tmp_path: Path, world: World) -> None:
    assert shell.ok("rates", "show") == "no rates imported\n"
    assert imported(shell, tmp_path, ECB) == "3 rates imported, newest of 2026-11-20\n"
    assert imported(shell, tmp_path, CSV) == "2 rates imported, newest of 2026-11-19\n"
    with freeze_time(NOON):
        shown = json.loads(shell.ok("rates", "show", "--json"))
        assert shown == {
            "date": "2026-11-20", "stale": False, "base": "EUR",
            "rates": {"GBP": "0.8800", "JPY": "180.5", "USD": "1.1600"},
        }  # fmt: skip
        assert shell.ok("rates", "show").splitlines()[:2] == ["2026-11-20", "1 EUR = 0.8800 GBP"]
    imported(shell, tmp_path, ECB.replace("0.8800", "0.8900"))  # the same day again replaces its rates
    with freeze_time("2026-11-25T00:00:00Z"):
        assert shell.ok("rates", "show").splitlines()[0] == "2026-11-20  STALE: older than 4 days"
        assert json.loads(shell.ok("rates", "show", "--json"))["rates"]["GBP"] == "0.8900"
        fresh = shell.run("rates", "show", WALLET_HOOKS_RATES_MAX_AGE_DAYS="5")
        assert "STALE" not in fresh.stdout
    assert world.count("exchange_rate") == 5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "must name the columns"), ("date,currency\n", "must name the columns"), ("<a/>", "no rates"),
        ("<a", "not XML"), ('<?xml version="1.0" encoding="foo"?><a/>', "not XML"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', "not XML"), (f"{CSV}9999-12-31,SEK,1\n", "after today"),
         ('<!DOCTYPE x [<!ENTITY e "x">]><a/>', "document type"),
        ("date,currency,rate\n2026-11-20,USD\n", "line 2"), ("date,currency,rate\n2026-13-20,USD,1\n", "not a date"),
        ("date,currency,rate\n2026-11-20,EUR,1\n", "other than EUR"), (f"{CSV}2026-11-19,USD,1.2\n", "two rates"),
        ("date,currency,rate\n2026-11-20,usd,1\n", "currency code"), ("date,currency,rate\n2026-11-20,USD,0\n", "rate"),
        ("date,currency,rate\n2026-11-20,USD,-1\n", "rate"), ("date,currency,rate\n2026-11-20,USD,1e3\n", "rate"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_stores_nothing(
    shell: Shell, tmp_path: Path, world: World, content: str, problem: str
) -> None:
    file = tmp_path / "rates"
    file.write_text(content)
    ran = shell.run("rates", "import", str(file))
    assert (ran.returncode, "bad_rates" in ran.stderr, problem in ran.stderr) == (1, True, True), ran
    assert world.count("exchange_rate") == 0


def test_bets_are_converted_by_imported_rates(shell: Shell, tmp_path: Path, world: World) -> None:
    assert world.place(bet(1, "11.60", currency="USD")).body == {"error": "currency_not_supported"}
    imported(shell, tmp_path, ECB)
    assert world.place(bet(2, "11.60", currency="USD")) == OK
    assert world.balance() == "90.00"
    with writing(world.engine) as session:
        set_rate(session, source="USD", target="EUR", rate="0.5", now=clock.now())
    assert world.place(bet(3, "10.00", currency="USD")) == OK
    assert world.balance() == "85.00"


def test_rates_are_listed_from_any_of_their_currencies(each: AccountClient, tmp_path: Path) -> None:
    key, _ = each.new_keys("ann", "app")
    assert each.ok("listCurrencyRates", key=key) == []
    imported(Shell(each.desk.world.settings.database_url), tmp_path, CSV)
    imported(Shell(each.desk.world.settings.database_url), tmp_path, ECB)

    def rates(currency: str | None) -> dict[str, Decimal]:
        listed = each.ok("listCurrencyRates", key=key, fromCurrency=currency)
        return {one["currencyCode"]: one["rate"] for one in listed}

    assert rates("EUR") == {"GBP": Decimal("0.88"), "JPY": Decimal("180.5"), "USD": Decimal("1.16")}
    assert rates(None) == rates("GBP")
    assert set(rates("GBP")) == {"EUR", "JPY", "USD"}
    assert abs(rates("GBP")["USD"] - Decimal("1.16") / Decimal("0.88")) < Decimal("1e-9")
    with writing(each.desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.17", now=clock.now())
    assert rates("GBP")["EUR"] == Decimal("1.17"), "as a bet is converted"
    assert rates("EUR")["GBP"] == Decimal("0.88")
    assert each.ok("listCurrencyRates", key=key, fromCurrency="SEK") == [], "a currency without a rate"
    for unknown in ("XXX", "eur", ""):
        assert each.code("listCurrencyRates", key=key, fromCurrency=unknown) == "INVALID_INPUT_DATA"
