"""Writers of reports as tables: CSV, JSON lines, XLSX, Parquet."""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xlsxwriter

from wallet_hooks.finance.batches import EXACT, Columns, arrow_schema, as_decimals, as_texts, converted

Batches = Iterable[pa.RecordBatch]

SHEET_ROWS = 1_048_576  # that a sheet can have
SHEET_DIGITS = 15  # significant digits that a spreadsheet keeps
# Text that a spreadsheet would read as a formula, or hide. Some read full-width signs as the ASCII ones.
_SIGN = r"[=+\-@＝＋－＠]"
# What begins with our own `'` gets another one: then the text can be read back.
_FORMULA = rf"^'*([\x00-\x1f]|\s*{_SIGN})"
# The same inside a text: a spreadsheet that separates cells by `;` or tab reads our commas and quotes as text, and
# starts a new cell after its own separator or a line's end.
_FORMULA_INSIDE = rf"""([;\t\r\n][\s"]*)('*{_SIGN})"""
_NEEDS_QUOTES = '[",\r\n]'
_NEEDS_ESCAPE = f"{_FORMULA}|{_FORMULA_INSIDE}|{_NEEDS_QUOTES}"
# A text of only these bytes of UTF-8 does not match. The full-width signs begin with EF.
_PLAIN = bytes(byte for byte in range(0x20, 0x100) if byte not in b'=+-@",\xef')
_EXACT_DIGITS = Context(prec=SHEET_DIGITS)


def write_csv(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Write RFC 4180 CSV in UTF-8: decimal points, the currency's scale, ISO dates, formulas escaped."""
    out.write(f"{','.join(columns)}\r\n".encode())
    for lines in converted(batches, lambda batch: _csv_lines(columns, batch)):
        out.write(lines)
        out.write(b"\r\n")


def _csv_lines(columns: Columns, batch: pa.RecordBatch) -> pa.Buffer:
    texts = [
        _escaped(text) if kind == "text" else text
        for text, kind in zip(as_texts(columns, batch), columns.values(), strict=True)
    ]
    lines = pc.binary_join_element_wise(*(text.fill_null("") for text in texts), ",")
    return pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\r\n")[0].as_buffer()


def _escaped(texts: pa.Array) -> pa.Array:
    """Prefix formulas with `'` and quote texts with separators. Returns early in the usual case without either."""
    if _is_plain(texts) or not pc.any(pc.match_substring_regex(texts, _NEEDS_ESCAPE)).as_py():
        return texts
    formulas = pc.match_substring_regex(texts, _FORMULA)
    texts = pc.if_else(formulas, pc.binary_join_element_wise("'", texts, ""), texts)
    texts = pc.replace_substring_regex(texts, _FORMULA_INSIDE, r"\1'\2")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(texts, _NEEDS_QUOTES), quoted, texts)


def _is_plain(texts: pa.Array) -> bool:
    """Return whether no text can need an escape. Much faster than a search of each text."""
    data = texts.buffers()[2]
    return data is None or not data.to_pybytes().translate(None, _PLAIN)


def write_jsonl(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Write one JSON object a line; amounts are decimal strings."""
    names = list(columns)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for batch in batches:
        values = [
            batch.column(name) if kind == "integer" else text
            for text, (name, kind) in zip(as_texts(columns, batch), columns.items(), strict=True)
        ]
        out.writelines(
            f"{encode(dict(zip(names, row, strict=True)))}\n".encode()
            for row in zip(*(column.to_pylist() for column in values), strict=True)
        )


def write_xlsx(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Write a workbook: numbers as numbers, or as text if they have more than 15 significant digits.

    Each sheet is named after its first day. A new day starts a new sheet once the current one is half full, so a day
    is split only if it is larger than half a sheet.
    """
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties(
        {"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)}
    )  # the same content gives the same file
    sheet = Sheet(book, columns)
    for batch in batches:
        for row in _cells(columns, batch):
            sheet.write(row)
    sheet.end()
    book.close()


class Sheet:
    """Writes rows to the current sheet of a workbook, and starts the next sheet when needed."""

    def __init__(self, book: Any, columns: Columns) -> None:
        self._book = book
        self._columns = columns
        self._days = [index for index, kind in enumerate(columns.values()) if kind == "day"]
        self._sheet: Any = None
        self._at = 0
        self._day: Any = None

    def write(self, row: list[Any]) -> None:
        day = row[self._days[0]] if self._days else None
        is_full = self._at == SHEET_ROWS or (day != self._day and self._at > SHEET_ROWS // 2)
        if self._sheet is None or is_full:
            self._begin(day)
        self._day = day
        self._sheet.write_row(self._at, 0, row)
        self._at += 1

    def end(self) -> None:
        """Add a sheet to a workbook without rows, because a workbook needs at least one."""
        if self._sheet is None:
            self._begin(None)

    def _begin(self, day: str | None) -> None:
        number = len(self._book.worksheets()) + 1
        self._sheet = self._book.add_worksheet(f"{number} from {day}" if day else f"Sheet{number}")
        self._sheet.write_row(0, 0, list(self._columns))
        self._at = 1


def write_parquet(columns: Columns, batches: Batches, out: BinaryIO) -> None:
    """Write Parquet: amounts as decimal128 with 8 decimals, days as dates, instants as timestamps."""
    schema = arrow_schema(columns, amounts=EXACT)
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
    """Yield the rows of a sheet: amounts and integers as numbers, everything else as text."""
    kinds = list(columns.values())
    texts = (column.to_pylist() for column in as_texts(columns, batch))
    for row in zip(*texts, strict=True):
        yield [
            value if value is None or kind not in ("integer", "amount") else _number(value)
            for value, kind in zip(row, kinds, strict=True)
        ]


def _number(text: str) -> Decimal | str:
    """Return a number if a spreadsheet keeps it exactly (up to 15 significant digits), else its text."""
    number = Decimal(text)
    return number if _EXACT_DIGITS.plus(number) == number else text
