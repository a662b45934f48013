"""Daily journals for Xero, QuickBooks and DATEV: file rules, totals, and account codes from a mapping file."""

import csv
import json
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from freezegun import freeze_time

from tests.finance.history import FIRST, LAST, exported, request_for, rows
from tests.test_commands import Shell
from tests.world import OK, World, bet, result
from wallet_hooks import clock, money
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance import general_ledger
from wallet_hooks.finance.exports import Options, write_file
from wallet_hooks.finance.general_ledger import (
    DEFAULT_CODES,
    LEDGERS,
    XERO_LINES,
    DailyLine,
    LedgerAccount,
    files_of,
    read_codes,
)
from wallet_hooks.identity import api_tokens
from wallet_hooks.settings import ConfigurationError

PLAYER_CODES = {"2100", "2110"}


def player_balances_of_the_trial_balance(world: World, currency: str) -> Decimal:
    found = rows(exported(world, "trial-balance", "csv"))
    players = [row for row in found if row["account"].startswith("players:") and row["currency"] == currency]
    return sum((Decimal(row["closing"]) for row in players), Decimal(0))


def test_xero_journals_balance_and_match_our_trial_balance(history: World) -> None:
    found = rows(exported(history, "journal", "xero"))
    sums: Counter[str] = Counter()
    for row in found:
        sums[row["*Narration"]] += Decimal(row["*Amount"])  # type: ignore[assignment]
    assert set(sums) >= {"Betting 2026-11-18 JPY", "Betting 2026-11-19 KWD", "Betting 2026-11-20 EUR"}
    assert set(sums.values()) == {0}
    assert {row["*Date"] for row in found} == {"18/11/2026", "19/11/2026", "20/11/2026"}
    of_players = [row for row in found if row["*AccountCode"] in PLAYER_CODES and row["*Narration"].endswith("EUR")]
    assert sum(Decimal(row["*Amount"]) for row in of_players) == player_balances_of_the_trial_balance(history, "EUR")


def test_quickbooks_has_numbers_names_debits_and_credits(history: World) -> None:
    found = rows(exported(history, "journal", "quickbooks", currency="JPY"))
    assert {row["Currency"] for row in found} == {"JPY"}
    assert [tuple(row.values())[:6] for row in found if row["Journal No."] == "WH-20261118-JPY"] == [
        ("WH-20261118-JPY", "11/18/2026", "JPY", "Payment providers", "50000", ""),
        ("WH-20261118-JPY", "11/18/2026", "JPY", "Player funds:Balances", "1000", ""),
        ("WH-20261118-JPY", "11/18/2026", "JPY", "Player funds:Balances", "", "50000"),
        ("WH-20261118-JPY", "11/18/2026", "JPY", "Player funds:Open stakes", "", "1000"),
    ]


@pytest.mark.all_together
def test_datev_is_windows_1252_with_decimal_commas_against_one_account(history: World) -> None:
    head, names, *lines = exported(history, "journal", "datev", currency="EUR").decode("cp1252").split("\r\n")
    assert head.startswith('"EXTF";700;21;"Buchungsstapel";13;')
    assert head.split(";")[12:16] == ["20260101", "4", "20261118", "20261120"]
    assert '"Gegenkonto (ohne BU-Schlüssel)"' in names
    booked = list(csv.reader([line for line in lines if line], delimiter=";"))
    assert {(len(line), line[7]) for line in booked} == {(len(names.split(";")), "1590")}
    balance = sum(Decimal(line[0].replace(",", ".")) * (1 if line[1] == "S" else -1) for line in booked)
    assert balance == 0
    assert '100,00;"S";"EUR";;;"";1100;1590;"";1811;"20261118EUR";"";;"Payment providers"' not in lines
    assert '140,00;"S";"EUR";;;"";1100;1590;"";1811;"20261118EUR";"";;"Payment providers"' in lines


def test_datev_refuses_a_third_decimal_and_a_second_fiscal_year(history: World) -> None:
    with pytest.raises(RefusedError, match=r"0\.125 KWD"):
        exported(history, "journal", "datev")
    with pytest.raises(RefusedError, match="one fiscal year"):
        exported(history, "journal", "datev", date(2025, 12, 31), currency="EUR")


def test_xero_files_are_split_between_journal_entries(empty_world: World, tmp_path: Path) -> None:
    empty_world.brand()
    empty_world.provider()
    first = date(2026, 1, 1)
    with freeze_time("2026-01-01T12:00:00Z") as moment:
        empty_world.customer()
        for number in range(160):
            moment.move_to(f"{first + timedelta(days=number)}T12:00:00Z")
            empty_world.place(bet(number, "0.10"))
    request = request_for(first, LAST)
    manifest = write_file(empty_world.engine, "journal", "xero", request, tmp_path / "out.csv")
    assert [one["file"] for one in manifest["files"]] == ["out.csv", "out-2.csv"]
    parts = [rows((tmp_path / one["file"]).read_bytes()) for one in manifest["files"]]
    assert [len(part) for part in parts] == [XERO_LINES, 322 - XERO_LINES]
    assert manifest["rows"] == 322
    for part in parts:
        assert sum(Decimal(row["*Amount"]) for row in part) == 0
    with pytest.raises(RefusedError, match="2 files"):
        exported(empty_world, "journal", "xero", first)
    second = exported(empty_world, "journal", "xero", first, options=Options(part=2))
    assert second == (tmp_path / "out-2.csv").read_bytes()
    of_part = write_file(empty_world.engine, "journal", "xero", request, tmp_path / "part.csv", Options(part=2))
    assert (of_part["part"], of_part["parts"], of_part["rows"]) == (2, 2, 322 - XERO_LINES)
    shorter = request_for(date(2026, 5, 1), LAST)
    write_file(empty_world.engine, "journal", "xero", shorter, tmp_path / "out.csv")
    assert not (tmp_path / "out-2.csv").exists(), "a part of the longer export that this one replaced"
    (tmp_path / "out-2.csv").write_text("another file")
    with pytest.raises(RefusedError, match="out-2"):
        write_file(empty_world.engine, "journal", "xero", request, tmp_path / "out.csv")
    assert (tmp_path / "out-2.csv").read_text() == "another file"


class _Written(NamedTuple):
    path: Path
    manifest: dict[str, Any]


@pytest.fixture
def split_journal(history: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Written:
    """The whole journal for Xero, written as several files."""
    monkeypatch.setitem(general_ledger._MAX_LINES, "xero", 10)
    path = tmp_path / "x.csv"
    return _Written(path, write_file(history.engine, "journal", "xero", request_for(), path))


@pytest.mark.all_together
def test_all_parts_can_be_exported_again_after_one_part(history: World, split_journal: _Written) -> None:
    path, whole = split_journal
    contents = {one["file"]: path.with_name(one["file"]).read_bytes() for one in whole["files"]}
    assert len(contents) > 2
    of_part = write_file(history.engine, "journal", "xero", request_for(), path, Options(part=1))
    assert (of_part["part"], of_part["files"]) == (1, whole["files"])
    assert write_file(history.engine, "journal", "xero", request_for(), path) == whole
    write_file(history.engine, "journal", "xero", request_for(), path, Options(part=1))
    write_file(history.engine, "journal", "xero", request_for(FIRST, FIRST, currency="JPY"), path)
    assert sorted(file.name for file in path.parent.glob("x*")) == ["x.csv", "x.csv.manifest.json"]


@pytest.mark.all_together
def test_the_manifest_of_a_part_lists_no_files_of_another_period(history: World, split_journal: _Written) -> None:
    path, whole = split_journal
    for _ in range(2):
        of_part = write_file(history.engine, "journal", "xero", request_for(LAST, LAST), path, Options(part=1))
        assert "files" not in of_part
        assert of_part["earlier_files"] == whole["files"][1:]
    assert write_file(history.engine, "journal", "xero", request_for(), path) == whole


@pytest.mark.all_together
def test_the_longest_match_in_a_mapping_file_counts(history: World, tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    mapping = {
        "accounts": {
            "income:stakes:acme": {"code": "4711", "name": "Income:Acme"},
            "income:stakes:acme:betflex": {"code": "4712", "name": "Income:Acme betflex"},
        },
        "tax_rate": "No VAT",
    }
    path.write_text(json.dumps(mapping))
    found = rows(exported(history, "journal", "xero", options=Options(codes=read_codes(path))))
    codes = {row["*AccountCode"] for row in found}
    assert "4712" in codes
    assert not codes & {"4000", "4711"}
    assert {row["*TaxRate"] for row in found} == {"No VAT"}
    shell = Shell(history.settings.database_url)
    out = tmp_path / "xero.csv"
    shell.ok("export", "journal", "--format", "xero", "--accounts", str(path), "--from", "2026-11-18", "-o", str(out))
    assert rows(out.read_bytes()) == found
    path.write_text('{"accounts": {"psp": {"code": "=1", "name": "x"}}, "datev": {"client": 0}}')
    ran = shell.run("export", "journal", "--format", "xero", "--accounts", str(path))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "psp" in ran.stderr
    assert "client" in ran.stderr


@pytest.mark.parametrize("content", ["", "[]", "{", '{"accounts": 1}', '{"other": 1}', '{"datev": {"clearing": 1590}}'])
def test_an_invalid_mapping_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "codes.json"
    path.write_text(content)
    with pytest.raises(RefusedError, match=r"codes\.json"):
        read_codes(path)


@pytest.mark.all_together
def test_the_mapping_file_of_the_settings_is_used_and_must_exist(history: World, tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    path.write_text('{"accounts": {"psp": {"code": "9999", "name": "PSP"}}}')
    history.configure(account_codes_file=str(path))
    with writing(history.engine) as session:
        token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
    answer = history.client.get("/finance/exports/journal.xero", headers={"Authorization": f"Bearer {token}"})
    assert "9999" in {row["*AccountCode"] for row in rows(answer.data)}
    history.configure(account_codes_file=str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match="ACCOUNT_CODES_FILE"):
        assert history.app


def test_an_account_without_a_code_is_refused() -> None:
    with pytest.raises(RefusedError, match="income:other"):
        DEFAULT_CODES.account_of("income:other:acme")
    assert DEFAULT_CODES.account_of("psp:card").code == "1100"


@pytest.mark.all_together
def test_days_are_accounting_days(history: World) -> None:
    """The bet of brand west at 02:30 UTC on the 19th is booked on the 18th."""
    lines = rows(exported(history, "journal", "xero", FIRST, FIRST))
    stakes = [row["*Amount"] for row in lines if row["*AccountCode"] == "2110" and row["*Narration"].endswith("EUR")]
    assert stakes == ["-21.50"]


@pytest.mark.parametrize("format_", LEDGERS)
def test_stakes_of_0_have_no_line(history: World, format_: str) -> None:
    before = exported(history, "journal", format_, currency="EUR")
    with freeze_time("2026-11-20T12:00:00Z"):
        assert history.place(bet("free", "0.00")) == OK
        assert history.settle(result("free", "0.00")) == OK
    free = [row["amount"] for row in rows(exported(history, "journal", "csv")) if ":free:" in row["reference"]]
    assert free == ["0.00"] * 4
    assert exported(history, "journal", format_, currency="EUR") == before


def lines_of(*amounts: int, currency: str = "EUR", code: str = "1100") -> list[DailyLine]:
    return [DailyLine(FIRST, currency, LedgerAccount(code, "Payment providers"), amount) for amount in amounts]


def booked(lines: list[DailyLine]) -> list[list[str]]:
    """Return the lines of the DATEV file."""
    (file,) = files_of("datev", lines)
    content = LEDGERS["datev"](file, request_for(), DEFAULT_CODES).decode("cp1252")
    return list(csv.reader(content.split("\r\n")[2:-1], delimiter=";"))


@pytest.mark.parametrize(
    ("currency", "amount", "fields"),
    [
        ("EUR", 999_999_999_999, ["9999999999,99"]),
        ("EUR", 1_000_000_000_000, ["9999999999,99", "0,01"]),
        ("EUR", -2_500_000_000_000, ["9999999999,99", "9999999999,99", "5000000000,02"]),
        ("JPY", 10_000_000_000, ["9999999999,00", "1,00"]),
        ("KWD", 10_000_000_000_000, ["9999999999,99", "0,01"]),
    ],
)
def test_datev_amounts_have_ten_digits_before_the_comma(currency: str, amount: int, fields: list[str]) -> None:
    found = booked(lines_of(amount, currency=currency))
    assert [line[0] for line in found] == fields
    assert {line[1] for line in found} == {"S" if amount > 0 else "H"}
    total = sum(Decimal(line[0].replace(",", ".")) for line in found)
    assert total == money.as_decimal(abs(amount), currency)


def test_the_manifest_counts_the_lines_that_datev_splits(empty_world: World, tmp_path: Path) -> None:
    empty_world.brand()
    with freeze_time("2026-11-18T12:00:00Z"):
        empty_world.customer(balance="9999999999999.99")
    path = tmp_path / "datev.csv"
    manifest = write_file(empty_world.engine, "journal", "datev", request_for(), path)
    lines = path.read_bytes().decode("cp1252").split("\r\n")[2:-1]
    assert manifest["rows"] == len(lines) == 2 * 1001
    assert manifest["totals"]["EUR"] == {"credit": "9999999999999.99", "debit": "9999999999999.99"}


def test_datev_refuses_currencies_and_accounts_that_do_not_fit_its_fields() -> None:
    money.configure({"USDT": 6})
    with pytest.raises(RefusedError, match="'USDT'"):
        booked(lines_of(100, currency="USDT"))
    with pytest.raises(RefusedError, match="'11001100'"):
        booked(lines_of(100, code="11001100"))
    codes = DEFAULT_CODES._replace(datev=DEFAULT_CODES.datev._replace(account_length=6))
    with pytest.raises(RefusedError, match="'1590'"):
        LEDGERS["datev"]([], request_for(), codes)


def test_datev_files_have_at_most_99999_lines() -> None:
    days = [[line._replace(day=FIRST + timedelta(days=day)) for line in lines_of(*[1] * 50_000)] for day in range(3)]
    files = files_of("datev", [line for day in days for line in day])
    assert [len(file) for file in files] == [50_000, 50_000, 50_000]
    with pytest.raises(RefusedError, match="datev takes 99999"):
        files_of("datev", lines_of(*[1] * 100_000))


@pytest.mark.parametrize("tax_rate", ["20;=1+1", 'x"=1', "\t=1"])
def test_a_tax_rate_that_is_a_formula_is_refused(tmp_path: Path, tax_rate: str) -> None:
    path = tmp_path / "codes.json"
    path.write_text(json.dumps({"tax_rate": tax_rate}))
    with pytest.raises(RefusedError, match="tax_rate"):
        read_codes(path)
