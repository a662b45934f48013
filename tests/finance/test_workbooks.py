"""Reports of a provider that are workbooks of a spreadsheet."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest
from freezegun import freeze_time

from tests.finance.provider_reports import HEAD, MATCHING_LINES, PERIOD
from tests.test_commands import Shell
from tests.world import OK, World, bet


def test_workbooks_with_wrong_dimensions_and_binary_fractions_are_read(day: World, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["brand", "bet", "currency", "stake"])
    for uid in (1, 2, 3, 4, 5):
        sheet.append(["acme", float(uid), "EUR", 10 + 4e-15 * uid])
    sheet.append(["acme", 6, "EUR", 1.5])
    book.save(tmp_path / "original.xlsx")
    with (
        zipfile.ZipFile(tmp_path / "original.xlsx") as original,
        zipfile.ZipFile(tmp_path / "report.xlsx", "w") as wrong,
    ):
        for name in original.namelist():
            content = original.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:C2"', content)
            wrong.writestr(name, content)
    ran = Shell(day.settings.database_url).run(
        "reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD
    )
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "", "6 lines: no breaks")


@pytest.mark.parametrize("content", [b"not a zip", b"PK\x03\x04broken", b""])
def test_an_invalid_workbook_is_a_bad_report(day: World, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.xlsx").write_bytes(content)
    shell = Shell(day.settings.database_url)
    ran = shell.run("reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("broken", ["xl/workbook.xml", "[Content_Types].xml", "xl/worksheets/sheet1.xml"])
def test_a_workbook_with_broken_xml_is_a_bad_report(day: World, tmp_path: Path, broken: str) -> None:
    workbook(tmp_path / "original.xlsx", ["acme", "1"])
    with (
        zipfile.ZipFile(tmp_path / "original.xlsx") as original,
        zipfile.ZipFile(tmp_path / "report.xlsx", "w") as wrong,
    ):
        for name in original.namelist():
            wrong.writestr(name, b"<broken" if name == broken else original.read(name))
    shell = Shell(day.settings.database_url)
    ran = shell.run("reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)


def test_lines_on_a_second_sheet_are_not_lost(day: World, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("more").append([])
    assert book.active is not None
    for line in ["brand,bet,currency,stake,payout,status", *MATCHING_LINES.values()]:
        book.active.append(line.split(","))
    book.save(tmp_path / "report.xlsx")
    report = ("reconcile", "--game", "betflex", str(tmp_path / "report.xlsx"), *PERIOD)
    shell = Shell(day.settings.database_url)
    assert shell.run(*report).returncode == 0
    book["more"].append(["acme", "999", "EUR", "5000.00"])
    book.save(tmp_path / "report.xlsx")
    ran = shell.run(*report)
    assert (ran.returncode, "sheet 'more'" in ran.stderr) == (2, True)


def workbook(path: Path, *lines: Sequence[object]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (HEAD.split(","), *lines):
        sheet.append(line)
    book.save(path)


def test_empty_cells_of_a_workbook_are_optional_up_to_its_header(day: World, tmp_path: Path) -> None:
    shell, file = Shell(day.settings.database_url), tmp_path / "report.xlsx"
    report = ["reconcile", "--provider", "betflex", str(file), *PERIOD]
    padded = [[*line.split(","), None, ""] for line in MATCHING_LINES.values()]
    workbook(file, *padded, [], ["acme", "9", "EUR", "1.00"])
    ran = shell.run(*report)
    assert (ran.returncode, ran.stdout.split()[:3]) == (1, ["missing_here", "acme", "9"])
    workbook(file, *padded, ["acme", "9", "EUR", "1.00", None, None, "x"])
    ran = shell.run(*report)
    assert (ran.returncode, "line 8: 7 cells, but the header has 6" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("bet", 1234567890123456),
        ("bet", 1234567890123456789),
        ("bet", 1e15),
        ("bet", -(10**15)),
        ("stake", 12345678901234.56),
        ("stake", 10 / 3),
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.all_together
def test_a_number_with_more_than_15_digits_in_a_workbook_is_refused(
    day: World, tmp_path: Path, column: str, cell: object
) -> None:
    line: dict[str, object] = {"brand": "acme", "bet": "1", "currency": "EUR", "stake": "1.00"}
    workbook(tmp_path / "report.xlsx", list({**line, column: cell}.values()))
    shell = Shell(day.settings.database_url)
    ran = shell.run("reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"line 2, column '{column}'" in ran.stderr
    assert "store it as text" in ran.stderr


def test_long_ids_as_text_and_numbers_of_15_digits_are_read(world: World, tmp_path: Path) -> None:
    with freeze_time("2026-11-20T12:00:00Z"):
        assert world.place(bet("1234567890123456789"), bet(123456789012345), bet(3, "0.30")) == OK
    lines: list[list[object]] = [
        ["acme", "1234567890123456789", "EUR", 10],
        ["acme", 123456789012345, "EUR", 10.0],
        ["acme", 3, "EUR", 0.1 + 0.2],
    ]
    workbook(tmp_path / "report.xlsx", *lines)
    shell = Shell(world.settings.database_url)
    ran = shell.run("reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD)
    assert (ran.returncode, ran.stdout) == (0, "")
