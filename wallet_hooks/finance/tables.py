"""Reports as tables: CSV, JSON lines, XLSX, Parquet."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xlsxwriter

from wallet_hooks.finance.batches import EXACT, Columns, as_decimals, as_texts, schema_of

Batches = Iterable[pa.RecordBatch]

_SHEET_ROWS = 1_048_576
# What a spreadsheet would take for a formula, or hide. Full-width signs are what they stand for to some of them.
_SIGN = r"[=+\-@＝＋－＠]"
_FORMULA = rf"^([\x00-\x1f]|\s*{_SIGN})"
# The same further on: where lists are separated by `;` or tabs, our commas and quotes are letters, and what follows a
# separator or a line's end begins a cell.
_FORMULA_INSIDE = rf'([;\t\r\n][\s"]*)({_SIGN})'
_NEEDS_QUOTES = '[",\r\n]'
_EXACT_DIGITS = Context(prec=15)  # that a spreadsheet keeps of a number


def write_csv(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """RFC 4180 in UTF-8: decimal points, the currency's scale, ISO dates, and no text that is a formula."""
    out.write(f"{','.join(columns)}\r\n".encode())
    for batch in batches:
        texts = [
            _safe(text) if kind == "text" else text
            for text, kind in zip(as_texts(columns, batch), columns.values(), strict=True)
        ]
        filled = [text.fill_null("") for text in texts]
        lines = pc.binary_join_element_wise(*filled[:-1], pc.binary_join_element_wise(filled[-1], "\r\n", ""), ",")
        out.write(pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")[0].as_buffer())


def _safe(texts: pa.Array) -> pa.Array:
    """What is a formula is made plain, and what would end its cell is quoted; mostly there is nothing to do."""
    if not pc.any(pc.match_substring_regex(texts, f"{_FORMULA}|{_FORMULA_INSIDE}|{_NEEDS_QUOTES}")).as_py():
        return texts
    formulas = pc.match_substring_regex(texts, _FORMULA)
    texts = pc.if_else(formulas, pc.binary_join_element_wise("'", texts, ""), texts)
    texts = pc.replace_substring_regex(texts, _FORMULA_INSIDE, r"\1'\2")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, _NEEDS_QUOTES), quoted, texts)


def write_jsonl(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """An object a line; amounts are decimal strings."""
    names = list(columns)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for batch in batches:
        shaped = [
            batch.column(name) if kind == "integer" else text
            for text, (name, kind) in zip(as_texts(columns, batch), columns.items(), strict=True)
        ]
        out.writelines(
            f"{encode(dict(zip(names, row, strict=True)))}\n".encode()
            for row in zip(*(column.to_pylist() for column in shaped), strict=True)
        )


def write_xlsx(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Numbers as numbers, or as text where they have more digits than a spreadsheet keeps.

    Each sheet is a period, named by its first day: a day begins a new sheet once the one before is half full, so that
    it is in one, unless it is larger than half a sheet.
    """
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})  # the same file twice
    sheet = Sheet(book, columns)
    for batch in batches:
        for row in _cells(columns, batch):
            sheet.write(row)
    sheet.end()
    book.close()


class Sheet:
    """The sheet that is being filled, and the next one."""

    def __init__(self, book: Any, columns: Columns) -> None:
        self._book = book
        self._columns = columns
        self._days = [index for index, kind in enumerate(columns.values()) if kind == "day"]
        self._sheet: Any = None
        self._at = 0
        self._day: Any = None

    def write(self, row: list[Any]) -> None:
        day = row[self._days[0]] if self._days else None
        is_full = self._at == _SHEET_ROWS or (day != self._day and self._at > _SHEET_ROWS // 2)
        if self._sheet is None or is_full:
            self._begin(day)
        self._day = day
        self._sheet.write_row(self._at, 0, row)
        self._at += 1

    def end(self) -> None:
        """A workbook has a sheet, though nothing be in it."""
        if self._sheet is None:
            self._begin(None)

    def _begin(self, day: str | None) -> None:
        number = len(self._book.worksheets()) + 1
        self._sheet = self._book.add_worksheet(f"{number} from {day}" if day else f"Sheet{number}")
        self._sheet.write_row(0, 0, list(self._columns))
        self._at = 1


def write_parquet(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Amounts as decimal128 of 8 decimals, days and instants as such."""
    schema = schema_of(columns, amounts=EXACT)
    with pq.ParquetWriter(out, schema) as writer:
        for batch in batches:
            arrays = [
                as_decimals(batch, name) if kind == "amount" else batch.column(name) for name, kind in columns.items()
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


WRITERS: dict[str, Callable[[Columns, Batches, BinaryIO], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "xlsx": write_xlsx,
    "parquet": write_parquet,
}


def _cells(columns: Columns, batch: pa.RecordBatch) -> Iterator[list[Any]]:
    """Amounts and integers as numbers, all else as text."""
    kinds = list(columns.values())
    texts = (column.to_pylist() for column in as_texts(columns, batch))
    for row in zip(*texts, strict=True):
        yield [
            value if value is None or kind not in ("integer", "amount") else _number(value)
            for value, kind in zip(row, kinds, strict=True)
        ]


def _number(text: str) -> Decimal | str:
    """As a spreadsheet keeps it exactly: a number of up to 15 digits, else text."""
    number = Decimal(text)
    return number if _EXACT_DIGITS.plus(number) == number else text
