"""Reports as tables: CSV, JSON lines, XLSX, Parquet."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from wallet_hooks import money
from wallet_hooks.finance.reports import Row

_BATCH = 10_000
_SHEET_ROWS = 1_048_576
# What a spreadsheet would take for a formula, or hide.
_DANGEROUS = frozenset("=+-@") | {chr(code) for code in range(32)}
# Parquet has one scale a column: enough for every currency but the widest of the settings'.
_SCALE = 8
Columns = Mapping[str, str]


def write_csv(columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """RFC 4180 in UTF-8: decimal points, the currency's scale, ISO dates, and no text that is a formula."""
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow(columns)
    for batch in _batches(rows):
        writer.writerows(zip(*_texts(columns, batch, guard=_guarded), strict=True))
    text.flush()
    text.detach()


def write_jsonl(columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """An object a line; amounts are decimal strings."""
    names = list(columns)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    for batch in _batches(rows):
        shaped = zip(*_texts(columns, batch, guard=list), strict=True)
        lines = (encode(dict(zip(names, row, strict=True))) for row in shaped)
        out.write(("\n".join(lines) + "\n").encode())


def write_xlsx(columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """Numbers as numbers; a sheet ends where the format's does, and the next one goes on."""
    book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)})  # the same file twice
    sheet, at = None, _SHEET_ROWS
    for row in _numbers(columns, rows):
        if at == _SHEET_ROWS:
            sheet, at = _new_sheet(book, columns), 1
        assert sheet is not None
        sheet.write_row(at, 0, row)
        at += 1
    if sheet is None:
        _new_sheet(book, columns)
    book.close()


def _new_sheet(book: Any, columns: Columns) -> Any:
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, list(columns))
    return sheet


def write_parquet(columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """Amounts as decimal128 of 8 decimals, days and instants as such."""
    schema = pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
    currency = _currency_index(columns)
    with pq.ParquetWriter(out, schema) as writer:
        for batch in _batches(rows, size=_BATCH * 5):
            values = list(zip(*batch, strict=True))
            arrays = [
                _decimals(column, values[currency]) if kind == "amount" else pa.array(column, _ARROW[kind])
                for column, kind in zip(values, columns.values(), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _decimals(minor: Iterable[int | None], currencies: Iterable[str]) -> Any:
    factors = {code: 10 ** (_SCALE - money.decimals(code)) for code in set(currencies)}
    scaled = [
        None if amount is None else amount * factors[code] for amount, code in zip(minor, currencies, strict=True)
    ]
    units = pa.array(scaled, pa.decimal128(38, 0))
    return units.view(pa.decimal128(38, _SCALE))


_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "day": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "amount": pa.decimal128(38, _SCALE),
}
WRITERS: dict[str, Callable[[Columns, Iterable[Row], BinaryIO], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "xlsx": write_xlsx,
    "parquet": write_parquet,
}


def _batches(rows: Iterable[Row], *, size: int = _BATCH) -> Iterator[list[Row]]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


_Column = Sequence[Any]


def _texts(columns: Columns, batch: list[Row], *, guard: Callable[[_Column], _Column]) -> list[_Column]:
    """The columns of a batch as texts: a column at a time is quicker than a row at a time."""
    values: list[_Column] = list(zip(*batch, strict=True))
    currencies = values[_currency_index(columns)]
    shaped: list[_Column] = []
    for column, kind in zip(values, columns.values(), strict=True):
        if kind == "amount":
            shaped.append(_amounts(column, currencies))
        elif kind == "text":
            shaped.append(guard(column))
        elif kind == "integer":
            shaped.append(column)
        else:
            shaped.append([None if value is None else _told(value) for value in column])
    return shaped


def _guarded(column: _Column) -> _Column:
    return [f"'{text}" if text and text[0] in _DANGEROUS else text for text in column]


def _amounts(column: _Column, currencies: _Column) -> _Column:
    format_ = money.format_amount
    return [
        None if minor is None else format_(minor, currency) for minor, currency in zip(column, currencies, strict=True)
    ]


def _numbers(columns: Columns, rows: Iterable[Row]) -> Iterator[list[Any]]:
    """Amounts as decimals, which a spreadsheet takes for numbers; all else as text or number."""
    currency = _currency_index(columns)
    kinds = list(columns.values())
    for row in rows:
        yield [
            value
            if value is None or kind in ("integer", "text")
            else Decimal(money.format_amount(value, row[currency]))
            if kind == "amount"
            else _told(value)
            for value, kind in zip(row, kinds, strict=True)
        ]


@lru_cache(maxsize=4096)
def _told(value: date | datetime) -> str:
    """A day or an instant; the entries of a transaction, and many transactions, share theirs."""
    return _instant(value) if isinstance(value, datetime) else value.isoformat()


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _currency_index(columns: Columns) -> int:
    names = list(columns)
    return names.index("currency") if "currency" in names else 0
