"""Options of exports: parts, partitions, byte order mark, sheets, past days; and one snapshot while bets arrive."""

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs

import openpyxl
import pyarrow as pa
import pytest
from freezegun import freeze_time
from sqlalchemy.orm import Session

from tests.finance.history import LAST, exported, query, request_for, rows
from tests.test_commands import Shell
from tests.world import OK, World, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.database import reading, writing
from wallet_hooks.database.streams import stream_batches
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance import exports, reports, tables
from wallet_hooks.finance.closing import close
from wallet_hooks.finance.exports import Options, write_dataset
from wallet_hooks.finance.report_request import ReportRequest, StatementPage
from wallet_hooks.identity import api_tokens


def test_a_dataset_partitioned_by_day_reads_as_one_table(history: World, tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    manifest = write_dataset(history.engine, "journal", request_for(), directory)
    assert [one["file"] for one in manifest["files"]] == [
        f"booked_on=2026-11-{day}/part-0.parquet" for day in (18, 19, 20)
    ]
    table = f"read_parquet('{directory}/*/*.parquet', hive_partitioning = true)"
    assert query(f"SELECT count(*), count(DISTINCT booked_on), typeof(any_value(booked_on)) FROM {table}") == [
        (history.count("ledger_entry"), 3, "DATE")
    ]
    assert query(f"SELECT transaction, currency FROM {table} GROUP BY ALL HAVING sum(amount) <> 0") == []
    assert json.loads((tmp_path / "journal.manifest.json").read_text()) == manifest
    with pytest.raises(RefusedError, match="not empty"):
        write_dataset(history.engine, "journal", request_for(), directory)
    with pytest.raises(RefusedError, match="no days"):
        write_dataset(history.engine, "trial-balance", request_for(), tmp_path / "other")


def test_a_day_that_comes_again_gets_another_file(
    history: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a statement with postings on a day that was reopened."""
    found = reports.report_named("journal")

    def twice(session: Session, request: ReportRequest) -> Iterator[pa.RecordBatch]:
        yield from found.batches(session, request)
        yield from found.batches(session, request)

    monkeypatch.setattr(exports, "at_a_pace", lambda _, batches: batches)  # which would put them together
    monkeypatch.setattr(exports, "report_named", lambda _: found._replace(batches=twice))
    manifest = write_dataset(history.engine, "journal", request_for(), tmp_path / "journal")
    assert [one["file"] for one in manifest["files"]] == [
        f"booked_on=2026-11-{day}/part-{part}.parquet" for part in (0, 1) for day in (18, 19, 20)
    ]
    table = f"read_parquet('{tmp_path}/journal/*/*.parquet', hive_partitioning = true)"
    assert query(f"SELECT count(*) FROM {table}") == [(2 * history.count("ledger_entry"),)]


@pytest.mark.all_together
def test_the_command_writes_a_dataset(history: World, tmp_path: Path) -> None:
    shell = Shell(history.settings.database_url)
    export = ["export", "journal", "--format", "parquet", "--partition-by", "day"]
    shell.ok(*export, "-o", str(tmp_path / "data"))
    assert len(list((tmp_path / "data").glob("booked_on=*"))) == 3
    assert shell.run(*export).returncode == 2
    assert shell.run("export", "journal", "-o", str(tmp_path / "data")).returncode == 2
    for option in (("--bom",), ("--part", "1")):
        assert "not accepted" in shell.run(*export, *option, "-o", str(tmp_path / "more")).stderr


def test_option_bom_adds_a_byte_order_mark(history: World) -> None:
    plain = exported(history, "trial-balance", "csv")
    assert exported(history, "trial-balance", "csv", options=Options(bom=True)) == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize(
    ("report", "format_", "parameters"),
    [
        ("journal", "jsonl", {"options": Options(bom=True)}),
        ("journal", "csv", {"options": Options(part=1)}),
        ("journal", "csv", {"currency": "EUR"}),
        ("journal", "xero", {"currency": "XXX1"}),
        ("journal", "xero", {"options": Options(part=2)}),
        ("trial-balance", "xero", {}),
        ("journal", "csv", {"page": StatementPage(10)}),
    ],
)
def test_an_option_that_a_format_does_not_accept_is_refused(
    history: World, report: str, format_: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(RefusedError):
        exported(history, report, format_, **parameters)


@pytest.mark.parametrize(
    ("first", "last"), [("2026-01-02", "2026-01-01"), ("0001-01-01", "2026-01-01"), ("2026-01-01", "9999-12-31")]
)
def test_an_invalid_period_is_refused(history: World, first: str, last: str) -> None:
    for report in reports.REPORTS:
        customer = ("acme", "7") if report == "statement" else None
        with pytest.raises(RefusedError) as refused:
            exported(history, report, "csv", date.fromisoformat(first), date.fromisoformat(last), customer=customer)
        assert refused.value.code == "bad_period"


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.all_together
def test_sheets_of_a_workbook_do_not_split_days(history: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SHEET_ROWS", 40)
    book = openpyxl.load_workbook(io.BytesIO(exported(history, "journal", "xlsx")))
    days = [{row[2] for row in sheet.iter_rows(min_row=2, values_only=True)} for sheet in book.worksheets]
    assert book.sheetnames == ["1 from 2026-11-18", "2 from 2026-11-19", "3 from 2026-11-20"]
    assert days == [{"2026-11-18"}, {"2026-11-19"}, {"2026-11-20"}]
    monkeypatch.setattr(tables, "SHEET_ROWS", 10)
    book = openpyxl.load_workbook(io.BytesIO(exported(history, "journal", "xlsx")))
    assert max(sheet.max_row for sheet in book.worksheets) == 10
    assert sum(sheet.max_row - 1 for sheet in book.worksheets) == history.count("ledger_entry")


def test_pages_of_a_statement_add_up_to_the_statement(history: World) -> None:
    with writing(history.engine) as session:
        token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
    headers = {"Authorization": f"Bearer {token}"}
    path = "/finance/exports/statement.csv"
    parameters = {"brand": "acme", "uid": "7", "from": "2026-11-18", "to": "2026-11-20", "limit": "4"}
    found: list[dict[str, str]] = []
    pages = 0
    while parameters:
        answer = history.client.get(path, query_string=parameters, headers=headers)
        assert answer.status_code == 200
        found += rows(answer.data)
        pages += 1
        link = answer.headers.get("Link", "")
        parameters = {name: values[0] for name, values in parse_qs(link.partition("?")[2].partition(">")[0]).items()}
    assert found == rows(exported(history, "statement", "csv", customer=("acme", "7")))
    assert pages == 3
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"item": "3"}, {"limit": "3", "item": "3"}, {"balance": "1"} ,
                  {"limit": "3", "item": "3", "balance": "1.001"}, {"part": "-1"}, {"bom": "yes"}):  # fmt: skip
        answer = history.client.get(path, query_string={"brand": "acme", "uid": "7"} | wrong, headers=headers)
        assert (answer.status_code, set(answer.get_json())) == (400, {"error", "message"}), wrong


@pytest.mark.all_together
def test_player_funds_and_open_bets_of_a_past_day_do_not_change(empty_world: World) -> None:
    """A report of a past day equals the report at the end of that day; a resettled bet stays settled."""
    world = empty_world
    world.brand()
    world.brand("west", id_=2, timezone="America/Santiago")
    world.provider()
    world.provider("west")
    then = {}
    with freeze_time("2026-11-18T10:00:00Z") as moment:
        world.customer()
        world.customer("7", client="west")
        for day, act in (
            (18, lambda: world.place(bet(1), bet(2), bet(3))),
            (19, lambda: world.settle(result(1), result(2, "0", outcome="lost"))),
            (20, lambda: (world.settle(result(1, "30.00")), world.place(bet(4, client="west")))),
            (21, lambda: world.settle(result(3, "0", outcome="lost"), result(4, "5.00", client="west"))),
        ):
            moment.move_to(f"2026-11-{day}T23:30:00Z")  # the day is not over in Santiago
            act()
            moment.move_to(f"2026-11-{day + 1}T10:00:00Z")
            then[day] = [
                exported(world, report, "csv", last=date(2026, 11, day)) for report in ("player-funds", "open-bets")
            ]
    after = {
        day: [exported(world, report, "csv", last=date(2026, 11, day)) for report in ("player-funds", "open-bets")]
        for day in then
    }
    assert after == then
    assert [len(rows(bets)) for _, bets in then.values()] == [3, 1, 2, 0]


@pytest.mark.all_together
def test_open_bets_of_a_closed_day_are_those_that_the_ledger_booked_on_it(history: World) -> None:
    """A stake, a settlement and a cancel that arrive after their day was closed are booked on the next day."""
    day = date(2026, 11, 20)
    with freeze_time("2026-11-20T12:00:00Z"):
        assert history.place(bet(7, "2.00"), bet(8, "4.00", currency="GBP"), bet(9, "0.50")) == OK
    close(history.engine, day, now=request_for().now)
    before = exported(history, "open-bets", "csv", last=day)
    with freeze_time("2026-11-20T13:00:00Z"):
        assert history.place(bet("late")) == OK
        assert history.settle(result(6, "9.00"), result(8, "0", currency="GBP")) == OK
        assert history.settle(result(6, "0")) == OK
        assert history.cancel(refund(7)) == OK
    assert exported(history, "open-bets", "csv", last=day) == before
    assert [row["bet"] for row in rows(before)] == ["6", "7", "8", "9", "1"]
    next_day = rows(exported(history, "open-bets", "csv", last=date(2026, 11, 21)))
    assert [row["bet"] for row in next_day] == ["9", "late", "1"]
    for last in (day, date(2026, 11, 21)):
        assert staked(history, last) == open_stakes(history, last)


def staked(world: World, last: date) -> dict[tuple[str, str], Decimal]:
    """Return the stakes of open-bets by brand and currency."""
    sums: dict[tuple[str, str], Decimal] = {}
    for row in rows(exported(world, "open-bets", "csv", last=last)):
        key = (row["brand"], row["currency"])
        sums[key] = sums.get(key, Decimal(0)) + Decimal(row["stake"])
    return sums


def open_stakes(world: World, last: date) -> dict[tuple[str, str], Decimal]:
    """Return the open stakes of player-funds by brand and currency."""
    found = rows(exported(world, "player-funds", "csv", last=last))
    stakes = {(row["brand"], row["currency"]): Decimal(row["open_stakes"]) for row in found}
    return {key: amount for key, amount in stakes.items() if amount}


def test_an_export_is_one_snapshot_while_bets_arrive(history: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bets placed between two batches of an export are not in it."""
    before = exported(history, "journal", "csv")
    arrived = Event()
    original = stream_batches

    def with_bets(*arguments: Any, **options: Any) -> Iterator[Any]:
        for batch in original(*arguments, **options):
            placed = Thread(target=place)
            placed.start()
            placed.join()
            yield batch

    def place() -> None:
        with freeze_time("2026-11-20T13:00:00Z"):
            arrived.set() if history.place(bet(f"new{clock.monotonic()}", "0.10")).status == 200 else None

    monkeypatch.setattr(reports, "stream_batches", with_bets)
    assert exported(history, "journal", "csv") == before
    assert arrived.is_set()
    monkeypatch.undo()
    assert exported(history, "journal", "csv") != before


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.all_together
def test_a_lost_connection_sends_no_partial_report(history: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with writing(history.engine) as session:
        token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
    monkeypatch.setattr(reports, "stream_batches", _losing_connection(history))
    answer = history.client.get(
        "/finance/exports/journal.csv", query_string={"to": LAST}, headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.get_json()["error"]) == (503, "try_again")


def _losing_connection(world: World) -> Any:
    original = stream_batches

    def lose(*arguments: Any, **options: Any) -> Iterator[Any]:
        with reading(world.engine) as other:
            other.connection().exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        return original(*arguments, **options)

    return lose


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.all_together
def test_progress_is_shown_on_a_terminal_and_not_in_a_pipe(history: World, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("wallet-hooks")), "export", "journal", "-o", str(tmp_path / "j.csv")]
    environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": history.settings.database_url}
    ours, theirs = pty.openpty()
    subprocess.run(command, env=environment, stderr=theirs, check=True)
    os.close(theirs)
    assert b"export" in os.read(ours, 10_000)
    os.close(ours)
    piped = subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=True, text=True)
    assert piped.stderr.startswith(f"{history.count('ledger_entry')} rows written")


def test_a_failed_export_leaves_existing_files_unchanged(history: World, tmp_path: Path) -> None:
    path = tmp_path / "statement.csv"
    shell = Shell(history.settings.database_url)
    statement = ["export", "statement", "--brand", "acme", "-o", str(path)]
    shell.ok(*statement, "--uid", "7")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert shell.run(*statement, "--uid", "nobody").returncode == 1
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    missing = shell.run("export", "journal", "-o", str(tmp_path / "nowhere" / "x.csv"))
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize(("report", "format_"), [("journal", "csv"), ("journal", "quickbooks"), ("statement", "jsonl")])
def test_an_export_to_a_pipe_ends_and_leaves_no_manifest(
    history: World, tmp_path: Path, report: str, format_: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    request = request_for(customer=("acme", "7") if report == "statement" else None)
    writer = Thread(target=exports.write_file, args=(history.engine, report, format_, request, pipe), daemon=True)
    writer.start()
    writer.join(30)
    reader.join(30)
    assert not writer.is_alive()
    assert received == [exported(history, report, format_, customer=request.customer)]
    assert [file.name for file in tmp_path.glob("pipe*")] == ["pipe"]


def test_an_export_through_a_link_leaves_the_link(history: World, tmp_path: Path) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "elsewhere.csv"
    link.symlink_to(target)
    exports.write_file(history.engine, "journal", "csv", request_for(), link)
    assert link.is_symlink()
    assert target.read_bytes() == exported(history, "journal", "csv")
    assert not (tmp_path / "link.csv.manifest.json").exists()


def test_the_manifest_of_a_statement_is_credit_positive(history: World, tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    manifest = exports.write_file(history.engine, "statement", "csv", request_for(customer=("acme", "7")), path)
    found = [Decimal(row["amount"]) for row in rows(path.read_bytes()) if row["amount"]]
    assert Decimal(manifest["totals"]["EUR"]["credit"]) == sum(amount for amount in found if amount > 0)
    assert Decimal(manifest["totals"]["EUR"]["debit"]) == -sum(amount for amount in found if amount < 0)


def test_player_funds_of_a_past_day_exclude_customers_created_later(history: World) -> None:
    before = exported(history, "player-funds", "csv")
    history.customer("later", currency="USD", balance="5.00")
    assert exported(history, "player-funds", "csv") == before


def test_a_balance_above_the_limit_of_one_payment_can_start_a_page(history: World) -> None:
    for number in range(3):
        history.deposit("9999999999999.99", uid="7", reference=f"R{number}")
    parameters: dict[str, Any] = {"customer": ("acme", "7"), "last": date(2199, 1, 1)}
    first = rows(exported(history, "statement", "csv", page=StatementPage(12), **parameters))
    page = StatementPage(12, int(first[-1]["item"]), first[-1]["balance"])
    rest = rows(exported(history, "statement", "csv", page=page, **parameters))
    assert first + rest == rows(exported(history, "statement", "csv", **parameters))
    assert len(first[-1]["balance"]) > 16


@pytest.mark.all_together
def test_unknown_or_repeated_query_parameters_are_refused(history: World) -> None:
    with writing(history.engine) as session:
        token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
    for wrong in ("form=2026-11-20", "from=2026-11-20&from=2026-11-19", "%00=1"):
        answer = history.client.get(
            f"/finance/exports/journal.csv?{wrong}", headers={"Authorization": f"Bearer {token}"}
        )
        assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_option"), wrong


def test_all_formats_are_available() -> None:
    assert set(exports.FORMATS) == {
        "csv", "jsonl", "xlsx", "parquet", "hledger", "ledger", "beancount", "xero", "quickbooks", "datev",
    }  # fmt: skip
