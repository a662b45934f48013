"""Reads the report of a provider, CSV or XLSX, line by line."""

import csv
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from lzma import LZMAError
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile
from zlib import error as ZlibError  # noqa: N812

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.tables import SHEET_DIGITS, SHEET_ROWS

COLUMNS = ("brand", "bet", "currency", "stake", "payout", "status")
_BET_COLUMNS = ("brand", "bet")
_INEXACT = 10**SHEET_DIGITS
_LONGEST_CELL = 32_767  # characters that a cell of a spreadsheet can hold


class ReportLine(NamedTuple):
    """A line of the provider's report; amounts are decimal strings in major units, empty if the report has none."""

    number: int
    brand: str
    bet: str
    currency: str
    stake: str
    payout: str
    status: str


class BadReportError(RefusedError):
    """A provider's report that cannot be read; the message names the line."""

    def __init__(self, message: str) -> None:
        super().__init__("bad_report", message)


def read_columns(text: str) -> dict[str, str]:
    """Return a report's names of our columns, given as a JSON object. Raises ValueError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not document.keys() <= set(COLUMNS):
        raise ValueError(f"a JSON object with keys among {', '.join(COLUMNS)} is expected")
    return {column: str(name) for column, name in document.items()}


def read_report(path: Path, mapping: Mapping[str, str], *, brand: str | None) -> Iterator[ReportLine]:
    """Yield the lines of a CSV or XLSX report.

    `mapping` has the report's names of our columns; `brand` is for a report of one brand without that column. White
    space around brand and bet is not removed. Raises BadReportError if a column is missing, a row has more or fewer
    cells than the header, or a cell is a number that a spreadsheet does not keep exactly.
    """
    rows = _xlsx_rows(path) if path.suffix.lower() == ".xlsx" else _csv_rows(path)
    head = [_text(cell, "line 1") for cell in next(rows, (1, []))[1]]
    places = _places(head, mapping, is_of_one_brand=brand is not None)
    for number, row in rows:
        if not any(row):
            continue
        if len(row) != len(head):
            raise BadReportError(f"line {number}: {len(row)} cells, but the header has {len(head)}")
        values = {
            column: "" if place is None else _text(row[place], f"line {number}, column {head[place]!r}")
            for column, place in places.items()
        }
        values |= {column: values[column].strip() for column in COLUMNS if column not in _BET_COLUMNS}
        yield ReportLine(number, **{**values, "brand": values["brand"] or brand or ""})


def lines_of(lines: Iterable[ReportLine], brands: Container[str]) -> Iterator[ReportLine]:
    """Yield a report's lines. Raises BadReportError for one whose brand is none of these."""
    for line in lines:
        if line.brand not in brands:
            raise BadReportError(f"line {line.number}: there is no brand {line.brand!r}")
        yield line


def _places(head: list[str], mapping: Mapping[str, str], *, is_of_one_brand: bool) -> dict[str, int | None]:
    """Return the index of each of our columns. Raises BadReportError if one is missing or repeated."""
    names = {column: mapping.get(column, column) for column in COLUMNS}
    for name in names.values():
        if head.count(name) > 1:
            raise BadReportError(f"the report has {head.count(name)} columns {name!r}")
    places = {column: head.index(name) if name in head else None for column, name in names.items()}
    for column in ("bet", "currency", "stake", *(() if is_of_one_brand else ("brand",))):
        if places[column] is None:
            found = ", ".join(map(repr, head))[:200] or "none"
            raise BadReportError(
                f"the report has no column {names[column]!r}, but {found}; a CSV report is UTF-8, with commas"
            )
    return places


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows, each with the number of its first line."""
    number = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                yield number, row
                number = reader.line_num + 1
    except csv.Error as error:
        raise BadReportError(f"line {number}: {error}") from None
    except UnicodeError:
        raise BadReportError(f"{path.name}: not UTF-8, or not CSV") from None


def _xlsx_rows(path: Path) -> Iterator[tuple[int, list[object]]]:
    """Yield the rows with their numbers, padded to the header's width, without empty cells beyond it.

    A workbook may leave out empty cells. openpyxl reports a broken workbook by exceptions of many types.
    """
    try:
        with path.open("rb") as file:
            sheet, *others = openpyxl.load_workbook(file, read_only=True).worksheets
            width = 0
            for number, row in enumerate(_sheet_rows(sheet), start=1):
                if number > SHEET_ROWS:
                    raise BadReportError(f"{path.name}: more than {SHEET_ROWS} rows")
                width = width or len(row)
                yield number, row + [None] * (width - len(row))
            for other in others:
                if any(_sheet_rows(other)):
                    raise BadReportError(f"{path.name}: sheet {other.title!r} has cells too; a report is one sheet")
    except (
        BadZipFile,
        InvalidFileException,
        SyntaxError,  # of the XML, whichever parser is installed
        LookupError,
        ValueError,
        TypeError,
        EOFError,
        RuntimeError,
        ZlibError,
        LZMAError,
    ) as error:
        raise BadReportError(f"{path.name}: not a readable XLSX workbook ({type(error).__name__})") from None


def _sheet_rows(sheet: Any) -> Iterator[list[object]]:
    """Yield a sheet's rows, without the empty cells at their ends."""
    sheet.reset_dimensions()  # some writers store wrong dimensions, and openpyxl would skip rows
    for values in sheet.iter_rows(values_only=True):
        row = list(values)
        while row and row[-1] in (None, ""):
            row.pop()
        yield row


def _text(value: object, where: str) -> str:
    """Return a cell as a spreadsheet shows it: numbers are binary fractions, of which 15 digits are significant.

    Raises BadReportError for a number of more digits, because the spreadsheet has rounded it, and for a text that no
    cell can hold.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        shown = format(value, ".15g") if isinstance(value, float) else str(value)
        digits = shown.partition("e")[0].lstrip("-0.").replace(".", "")
        if abs(value) >= _INEXACT or (len(digits) == SHEET_DIGITS and float(shown) != value):
            raise BadReportError(f"{where}: {value!r} has more than {SHEET_DIGITS} digits; store it as text")
        return shown
    text = "" if value is None else str(value)
    if len(text) > _LONGEST_CELL:
        raise BadReportError(f"{where}: {len(text)} characters; at most {_LONGEST_CELL} are accepted")
    return text
