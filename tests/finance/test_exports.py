"""Exports read by independent programs: ledger, hledger, beancount and DuckDB get our totals and detect changes."""

import csv
import hashlib
import io
import json
import shutil
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Transaction as BeancountTransaction
from freezegun import freeze_time
from sqlalchemy import text

from tests.finance.history import FIRST, HOSTILE_TEXT, LAST, exported, query, request_for, rows
from tests.test_commands import Shell
from tests.world import OK, World, bet, result
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.finance.closing import close
from wallet_hooks.finance.exports import FORMATS, write
from wallet_hooks.finance.report_request import StatementPage
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.identity import api_tokens


def trial_balance(world: World, first: date = FIRST) -> dict[tuple[str, str], Decimal]:
    """Return our closing balances by top-level account and currency."""
    sums: dict[tuple[str, str], Decimal] = {}
    tops = {"players": "Liabilities", "psp": "Assets", "income": "Income", "expenses": "Expenses", "equity": "Equity"}
    for row in rows(exported(world, "trial-balance", "csv", first)):
        key = (tops[row["account"].partition(":")[0]], row["currency"])
        sums[key] = sums.get(key, Decimal(0)) + Decimal(row["closing"])
    return {key: amount for key, amount in sums.items() if amount}


def test_duckdb_finds_balanced_transactions_in_csv_and_parquet(history: World, tmp_path: Path) -> None:
    for format_ in ("csv", "parquet"):
        path = tmp_path / f"journal.{format_}"
        path.write_bytes(exported(history, "journal", format_))
        exact = "CAST(amount AS DECIMAL(38, 8))"
        source = f"read_csv('{path}', all_varchar = true)" if format_ == "csv" else f"'{path}'"
        found = query(f"SELECT transaction, currency FROM {source} GROUP BY ALL HAVING sum({exact}) <> 0")
        assert found == []
        total = query(f"SELECT count(*), count(DISTINCT transaction) FROM {source}")
        assert total == [(history.count("ledger_entry"), history.count("ledger_transaction"))]
        sums = query(f"SELECT currency, sum({exact}) FROM {source} WHERE account LIKE 'players:%' GROUP BY currency")
        ours = {code: amount for (top, code), amount in trial_balance(history).items() if top == "Liabilities"}
        assert {code: amount for code, amount in sums if amount} == ours


def ledger(content: bytes, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "journal.ledger"
    path.write_bytes(content)
    return subprocess.run(["ledger", "--pedantic", "-f", str(path), *command], capture_output=True, text=True)


def hledger(content: bytes, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "journal.hledger"
    path.write_bytes(content)
    return subprocess.run(["hledger", "-f", str(path), *command], capture_output=True, text=True)


def beancount(content: bytes) -> tuple[dict[tuple[str, str], Decimal], list[Any]]:
    entries, errors, _ = loader.load_string(content.decode())
    sums: dict[tuple[str, str], Decimal] = {}
    for entry in entries:
        if isinstance(entry, BeancountTransaction):
            for posting in entry.postings:
                assert posting.units is not None
                assert posting.units.number is not None
                key = (posting.account.partition(":")[0], posting.units.currency)
                sums[key] = sums.get(key, Decimal(0)) + posting.units.number
    return {key: amount for key, amount in sums.items() if amount}, errors


def test_beancount_gets_our_trial_balance(history: World) -> None:
    sums, errors = beancount(exported(history, "journal", "beancount"))
    assert errors == []
    assert sums == trial_balance(history)


def test_a_journal_of_a_later_period_begins_with_opening_balances(history: World) -> None:
    second = date(2026, 11, 19)
    sums, errors = beancount(exported(history, "journal", "beancount", second))
    assert errors == []
    ours = trial_balance(history, second)
    opening = {key: amount for key, amount in sums.items() if key[0] == "Equity"}
    assert {key: amount for key, amount in sums.items() if key not in opening} == {
        key: amount for key, amount in ours.items() if key[0] != "Equity"
    }


@pytest.mark.skipif(shutil.which("ledger") is None, reason="ledger is not installed")
def test_ledger_gets_our_trial_balance(history: World, tmp_path: Path) -> None:
    content = exported(history, "journal", "ledger")
    ran = ledger(content, tmp_path, "balance", "--flat", "--no-total", "--balance-format", "%(account)|%(amount)\n")
    assert ran.returncode == 0, ran.stderr
    assert sums_of(ran.stdout, "|") == trial_balance(history)


@pytest.mark.skipif(shutil.which("hledger") is None, reason="hledger is not installed")
def test_hledger_gets_our_trial_balance(history: World, tmp_path: Path) -> None:
    content = exported(history, "journal", "hledger")
    assert hledger(content, tmp_path, "check", "--strict").stderr == ""
    ran = hledger(content, tmp_path, "balance", "--flat", "--no-total", "--layout=bare", "-O", "csv")
    assert ran.returncode == 0, ran.stderr
    sums: dict[tuple[str, str], Decimal] = {}
    for row in csv.DictReader(io.StringIO(ran.stdout)):
        key = (row["account"].partition(":")[0], row["commodity"])
        sums[key] = sums.get(key, Decimal(0)) + Decimal(row["balance"])
    assert {key: amount for key, amount in sums.items() if amount} == trial_balance(history)


def sums_of(text: str, separator: str) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    account = ""
    for line in text.splitlines():
        before, found, amount = line.rpartition(separator)
        account = before or account if found else account
        number, _, currency = amount.strip().rpartition(" ")
        key = (account.partition(":")[0], currency)
        sums[key] = sums.get(key, Decimal(0)) + Decimal(number)
    return {key: value for key, value in sums.items() if value}


def _last_digit(text: str) -> str:
    return text.replace("10.00000000 EUR", "10.00000001 EUR", 1)


def _dropped_line(text: str) -> str:
    lines = text.splitlines(keepends=True)
    index = next(number for number, line in enumerate(lines) if "  10.00000000 EUR" in line)
    return "".join(lines[:index] + lines[index + 1 :])


def _swapped_currency(text: str) -> str:
    return text.replace("1000.00000000 JPY\n", "1000.00000000 EUR\n").replace("commodity EUR\n", "commodity JPY\n", 1)


def _other_customer(text: str) -> str:
    return text.replace("Liabilities:Players:C1:UK  10.00000000 EUR", "Liabilities:Players:C4:UK  10.00000000 EUR", 1)


@pytest.mark.parametrize("mutate", [_last_digit, _dropped_line, _swapped_currency, _other_customer])
@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.all_together
def test_programs_detect_a_changed_journal(history: World, tmp_path: Path, mutate: Any) -> None:
    for format_ in ("beancount", "ledger", "hledger"):
        text = exported(history, "journal", format_).decode()
        changed = mutate(text)
        assert changed != text, format_
        if format_ == "beancount":
            assert beancount_errors(changed)
        elif shutil.which(format_) is not None:
            run = ledger if format_ == "ledger" else hledger
            command = ("balance",) if format_ == "ledger" else ("check", "--strict")
            assert run(changed.encode(), tmp_path, *command).returncode != 0, format_


def beancount_errors(text: str) -> list[Any]:
    errors: list[Any] = loader.load_string(text)[1]
    return errors


@pytest.mark.all_together
def test_brands_with_similar_names_have_different_accounts(empty_world: World, tmp_path: Path) -> None:
    names = ("acme", "Acme", "ACME", "aCME", "a_b", "a-5f-b", "c7", "7", "C7", "UK", "uK", "Uk", "uk", "open_stakes")
    with freeze_time("2026-11-18T10:00:00Z") as moment:
        for number, name in enumerate(names):
            empty_world.brand(name, id_=number + 1)
            empty_world.provider(name)
            empty_world.customer(str(number), client=name, name=name)
            empty_world.place(bet(1, f"{number + 1}.00", user=number, client=name))
            empty_world.settle(result(1, "0", user=str(number), client=name))
        moment.move_to("2026-11-19T10:00:00Z")
        for number, name in enumerate(names):
            empty_world.place(bet(2, "1.00", user=number, client=name))
            empty_world.settle(result(2, "0", user=str(number), client=name))
    for first in (FIRST, date(2026, 11, 19)):
        text = exported(empty_world, "journal", "beancount", first)
        assert beancount(text)[1] == []
        incomes = {line.split()[2] for line in text.decode().splitlines() if " open Income:Income:Stakes" in line}
        assert len(incomes) == len(names)
        assert "Income:Income:Stakes:UK:Betflex" in incomes
        if shutil.which("ledger") is not None:
            content = exported(empty_world, "journal", "ledger", first)
            ran = ledger(content, tmp_path, "accounts", "^Income")
            assert (ran.returncode, ran.stderr, set(ran.stdout.split())) == (0, "", incomes)
        if shutil.which("hledger") is not None:
            content = exported(empty_world, "journal", "hledger", first)
            assert hledger(content, tmp_path, "check", "--strict").stderr == ""
            ran = hledger(content, tmp_path, "accounts", "--used", "^Income")
            assert set(ran.stdout.split()) == incomes


def test_texts_cannot_inject_lines_in_any_format(history: World) -> None:
    journal = rows(exported(history, "journal", "csv"))
    assert len(journal) == history.count("ledger_entry")
    assert HOSTILE_TEXT.replace("=1", "'=1") in {row["description"] for row in journal}
    assert "'=2+5" not in str(journal), "references begin with the game"
    (row,) = [row for row in rows(exported(history, "open-bets", "csv")) if row["stake"] == "3.33"]
    assert row["bet"] == "6"
    lines = exported(history, "journal", "jsonl").splitlines()
    assert len(lines) == history.count("ledger_entry")
    assert all(json.loads(line)["transaction"] for line in lines)
    for format_ in ("hledger", "ledger", "beancount"):
        assert b"forged" not in exported(history, "journal", format_)


def test_formulas_in_text_are_escaped_and_amounts_are_not(history: World) -> None:
    with freeze_time("2026-11-20T12:00:00Z"):
        assert history.place(bet("-1+1", "1.00"), bet("@x", "1.00"), bet("x;=1+1", "1.00"), bet("x ;y", "1.00")) == OK
    bets = {row["bet"]: row for row in rows(exported(history, "open-bets", "csv"))}
    assert {"'-1+1", "'@x", "x;'=1+1", "x ;y"} <= set(bets)
    amounts = [row["amount"] for row in rows(exported(history, "journal", "csv"))]
    assert any(amount.startswith("-") for amount in amounts)


def test_a_statement_runs_from_opening_to_closing_balance(history: World) -> None:
    found = rows(exported(history, "statement", "csv", date(2026, 11, 19), customer=("acme", "7")))
    assert [(row["kind"], row["amount"], row["balance"]) for row in found] == [
        ("opening", "", "76.50"),
        ("settlement", "25.00", "101.50"),
        ("reversal", "-25.00", "76.50"),
        ("settlement", "30.00", "106.50"),
        ("settlement", "11.99", "118.49"),
        ("adjustment", "-1.50", "116.99"),
        ("cancel", "7.50", "124.49"),
        ("stake", "-3.33", "121.16"),
        ("closing", "", "121.16"),
    ]
    assert history.balance() == "121.16"


def test_gaming_revenue_by_day_brand_game_and_currency(history: World) -> None:
    found = rows(exported(history, "gaming-revenue", "csv"))
    assert [tuple(row.values()) for row in found] == [
        ("2026-11-19", "acme", "betflex", "EUR", "10.00", "30.00", "-20.00", "0.00", "1"),
        ("2026-11-19", "acme", "betflex", "GBP", "5.00", "9.99", "-4.99", "0.00", "1"),
        ("2026-11-19", "acme", "betflex", "JPY", "1000", "2500", "-1500", "0", "1"),
        ("2026-11-19", "acme", "betflex", "KWD", "0.125", "0.001", "0.124", "0.000", "1"),
    ]


@pytest.mark.all_together
def test_player_funds_and_open_bets(history: World) -> None:
    funds = [tuple(row.values()) for row in rows(exported(history, "player-funds", "csv"))]
    assert funds == [
        ("acme", "EUR", "1", "121.16", "3.33", "0.00"),
        ("acme", "JPY", "1", "51500", "0", "0"),
        ("acme", "KWD", "1", "29.876", "0.000", "0.000"),
        ("west", "EUR", "1", "36.00", "4.00", "0.00"),
    ]
    assert [row["bet"] for row in rows(exported(history, "open-bets", "csv"))] == ["6", "1"]


def test_a_trial_balance_is_the_same_from_a_seal_and_from_all_history(history: World) -> None:
    third = date(2026, 11, 20)
    before = exported(history, "trial-balance", "csv", third)
    close(history.engine, date(2026, 11, 19), now=datetime(2026, 11, 21, 12, tzinfo=UTC))
    assert exported(history, "trial-balance", "csv", third) == before
    for row in rows(before):
        assert Decimal(row["opening"]) + Decimal(row["debit"]) - Decimal(row["credit"]) == Decimal(row["closing"])


@pytest.mark.parametrize("format_", FORMATS)
def test_an_export_of_a_closed_period_is_reproducible(history: World, format_: str) -> None:
    close(history.engine, date(2026, 11, 19), now=datetime(2026, 11, 21, 12, tzinfo=UTC))
    parameters = {"currency": "EUR"} if format_ == "datev" else {}
    first = exported(history, "journal", format_, FIRST, date(2026, 11, 19), **parameters)
    with freeze_time("2026-11-22T12:00:00Z"):
        history.place(bet(77))
    assert exported(history, "journal", format_, FIRST, date(2026, 11, 19), **parameters) == first


@pytest.mark.parametrize("report", [name for name in REPORTS if name != "statement"])
def test_every_report_is_available_in_every_tabular_format(history: World, report: str, tmp_path: Path) -> None:
    count = len(rows(exported(history, report, "csv")))
    assert count
    assert len(exported(history, report, "jsonl").splitlines()) == count
    path = tmp_path / "report.parquet"
    path.write_bytes(exported(history, report, "parquet"))
    assert query(f"SELECT count(*) FROM '{path}'") == [(count,)]
    assert exported(history, report, "xlsx")[:2] == b"PK"


@pytest.mark.all_together
def test_the_command_writes_a_file_and_its_manifest(history: World, tmp_path: Path) -> None:
    shell = Shell(history.settings.database_url)
    sealed = close(history.engine, LAST, now=datetime(2026, 11, 21, 12, tzinfo=UTC))
    path = tmp_path / "journal.csv"
    shell.ok("export", "journal", "--format", "csv", "--from", "2026-11-18", "--to", "2026-11-20", "-o", str(path))
    manifest = json.loads((tmp_path / "journal.csv.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["rows"] == history.count("ledger_entry") == len(rows(path.read_bytes()))
    assert manifest["totals"]["JPY"] == {"credit": "54500", "debit": "54500"}
    assert manifest["ledger"]["newest_seal"] == {"day": "2026-11-20", "hash": sealed[-1].hash}
    assert manifest["ledger"]["period_is_closed"] is True
    path = tmp_path / "deliveries.csv"
    shell.ok("export", "deliveries", "--format", "csv", "--from", "2026-11-18", "--to", "2026-11-20", "-o", str(path))
    of_deliveries = json.loads((tmp_path / "deliveries.csv.manifest.json").read_text())
    assert of_deliveries["ledger"]["period_is_closed"] is False, "its days are UTC, and more may come"
    for wrong in (
        ["export", "nothing"],
        ["export", "journal", "--format", "pdf"],
        ["export", "journal", "--from", "2026-13-01"],
        ["export", "journal", "--from", "2026-11-20", "--to", "2026-11-19", "-o", str(tmp_path / "x")],
        ["export", "statement", "-o", str(tmp_path / "x")],
        ["export", "journal", "--brand", "acme"],
        ["export", "deliveries", "--format", "hledger", "-o", str(tmp_path / "x")],
    ):
        assert shell.run(*wrong).returncode in (1, 2), wrong
    assert not (tmp_path / "x").exists()


def test_an_unknown_or_unexpected_customer_is_refused(history: World) -> None:
    with pytest.raises(Exception, match="no customer 'nobody'"):
        exported(history, "statement", "csv", customer=("acme", "nobody"))
    with pytest.raises(RefusedError):
        exported(history, "journal", "csv", customer=("acme", "7"))


@pytest.mark.parametrize("format_", WRITERS)
def test_nothing_is_written_of_a_statement_that_is_refused(history: World, format_: str) -> None:
    out = io.BytesIO()
    with pytest.raises(NotFoundError):
        write(history.engine, "statement", format_, request_for(customer=("acme", "nobody")), out)
    page = StatementPage(limit=10, item=3, balance="1.001")
    with pytest.raises(RefusedError, match="balance"):
        write(history.engine, "statement", format_, request_for(customer=("acme", "7"), page=page), out)
    assert out.getvalue() == b""


def exported_by_command(world: World, report: str, directory: Path) -> list[dict[str, str]]:
    path = directory / report
    Shell(world.settings.database_url).ok("export", report, "-o", str(path))
    return rows(path.read_bytes())


@pytest.mark.all_together
def test_without_an_end_the_newest_day_of_any_brand_is_included(empty_world: World, tmp_path: Path) -> None:
    """At 12:00 UTC it is the next day in Auckland."""
    world = empty_world
    with freeze_time("2026-11-20T12:00:00Z"):
        world.brand()
        world.brand("east", id_=2, timezone="Pacific/Auckland")
        world.provider("east")
        world.customer(client="east")
        assert world.place(bet(1, client="east")) == OK
        found = {
            report: exported_by_command(world, report, tmp_path) for report in ("journal", "open-bets", "trial-balance")
        }
        assert {row["booked_on"] for row in found["journal"]} == {"2026-11-21"}
        assert [row["bet"] for row in found["open-bets"]] == ["1"]
        assert found["trial-balance"]
        with writing(world.engine) as session:
            token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
        answer = world.client.get("/finance/exports/journal.csv", headers={"Authorization": f"Bearer {token}"})
        assert rows(answer.data) == found["journal"]
        assert json.loads(answer.headers["X-Export-Manifest"])["period"]["to"] == "2026-11-21"


def test_without_an_end_deliveries_of_the_utc_day_are_included(world: World, tmp_path: Path) -> None:
    """The report `deliveries` uses UTC days; in Santiago it is still the day before."""
    with writing(world.engine) as session:
        session.execute(text("UPDATE brand SET timezone = 'America/Santiago'"))
    with freeze_time("2026-11-20T01:00:00Z"):
        world.place(bet(1))
        (found,) = exported_by_command(world, "deliveries", tmp_path)
    assert found["day"] == "2026-11-20"
