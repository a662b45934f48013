"""Reports in batches of columns (Arrow's record batches), and what the formats make of them, a column at a time.

Amounts are minor units of the row's currency until a format wants them otherwise.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from wallet_hooks import money

# A column's name and its kind: text, integer, day, instant, or amount, in the row's `currency`.
Columns = Mapping[str, str]
Row = tuple[Any, ...]

_BATCH = 10_000
_MINOR = pa.decimal128(38, 0)
# Parquet has one scale a column: enough for every currency but the widest of the settings'.
SCALE = 8
_WITHOUT_ZONE = pa.timestamp("us")  # Arrow writes it ten times as fast
EXACT = pa.decimal128(38, SCALE)
_KINDS = {
    "text": pa.string(),
    "integer": pa.int64(),
    "day": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "amount": _MINOR,
}


def schema_of(columns: Columns, *, amounts: pa.DataType = _MINOR) -> pa.Schema:
    """Arrow's schema of a report; single amounts fit an int64, which is quicker, sums of them may not."""
    kinds = _KINDS | {"amount": amounts}
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


def in_batches(columns: Columns, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    schema = schema_of(columns)
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        values = zip(*batch, strict=True)
        yield pa.record_batch(
            [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema
        )


def rows_of(batch: pa.RecordBatch) -> Iterator[Row]:
    """The rows as Python's objects."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def as_texts(columns: Columns, batch: pa.RecordBatch) -> list[pa.Array]:
    """Each column as text: decimal strings in the currency's scale, ISO days, instants in UTC."""
    return [_as_text(batch, name, kind) for name, kind in columns.items()]


def _as_text(batch: pa.RecordBatch, name: str, kind: str) -> pa.Array:
    column = batch.column(name)
    if kind == "text":
        return column
    if kind == "amount":
        return by_currency(batch, name, _decimal_texts)
    if kind == "instant":
        told = pc.binary_replace_slice(column.cast(_WITHOUT_ZONE).cast(pa.string()), 10, 11, "T")
        return pc.binary_join_element_wise(told, "Z", "")
    return column.cast(pa.string())


def as_decimals(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Amounts in major units, with eight decimals."""
    return by_currency(batch, name, _decimals)


def by_currency(batch: pa.RecordBatch, name: str, shape: Callable[[pa.Array, int], pa.Array]) -> pa.Array:
    """Amounts shaped by their currencies' decimals; a batch has few currencies, and most have two decimals."""
    amounts, currencies = batch.column(name), batch.column("currency")
    scales = {code: money.decimals(code) for code in currencies_of(batch)}
    shaped: pa.Array = None
    for scale in sorted(set(scales.values())):
        one = shape(amounts, scale)
        codes = pa.array([code for code, its in scales.items() if its == scale], pa.string())
        shaped = one if shaped is None else pc.if_else(pc.is_in(currencies, codes), one, shaped)
    return shaped


def currencies_of(batch: pa.RecordBatch) -> Sequence[str]:
    codes: list[str] = pc.unique(batch.column("currency")).to_pylist()
    return codes


def sum_of(amounts: pa.Array) -> int:
    """Exact, however large."""
    return int(pc.sum(amounts.cast(_MINOR)).as_py() or 0)


def _decimal_texts(amounts: pa.Array, scale: int) -> pa.Array:
    """As `money.format_amount` writes them."""
    digits = pc.utf8_lpad(pc.abs(amounts).cast(pa.string()), scale + 1, "0")
    if scale:
        digits = pc.binary_replace_slice(digits, -scale, -scale, ".")
    sign = pc.if_else(pc.less(amounts, 0), "-", "")
    return pc.binary_join_element_wise(sign, digits, "")


def _decimals(amounts: pa.Array, scale: int) -> pa.Array:
    return amounts.cast(_MINOR).view(pa.decimal128(38, scale)).cast(EXACT)
