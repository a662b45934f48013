"""Reports as Arrow record batches, and the conversions of their columns to the formats' types.

Amounts are in minor units of the row's currency until a format converts them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from wallet_hooks import money

# Column names and kinds: text, integer, day, instant, or amount (in the currency of the row's column `currency`).
Columns = Mapping[str, str]
Row = tuple[Any, ...]

T = TypeVar("T")

BATCH_ROWS = 10_000
_CONVERTED_AT_A_TIME = 2
_MINOR = pa.decimal128(38, 0)
SCALE = money.MAX_DECIMALS  # a Parquet column has one scale
_WITHOUT_ZONE = pa.timestamp("us")  # Arrow formats it ten times as fast as one with a zone
_INSTANT_WIDTH = len("2026-11-20 12:00:00.000000")
EXACT = pa.decimal128(38, SCALE)
_KINDS = {
    "text": pa.string(),
    "integer": pa.int64(),
    "day": pa.date32(),
    "instant": pa.timestamp("us", tz="UTC"),
    "amount": _MINOR,
}


def arrow_schema(columns: Columns, *, amounts: pa.DataType = _MINOR) -> pa.Schema:
    """Return a report's Arrow schema. `amounts` may be int64, which is faster, for single amounts but not for sums."""
    kinds = _KINDS | {"amount": amounts}
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


def in_batches(columns: Columns, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    """Yield rows as record batches, amounts in minor units."""
    schema = arrow_schema(columns)
    rows = iter(rows)
    while batch := list(islice(rows, BATCH_ROWS)):
        values = zip(*batch, strict=True)
        yield pa.record_batch(
            [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema
        )


def rows_of(batch: pa.RecordBatch) -> Iterator[Row]:
    """Yield the rows of a batch as Python objects."""
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def converted(batches: Iterable[pa.RecordBatch], convert: Callable[[pa.RecordBatch], T]) -> Iterator[T]:
    """Yield each batch converted, in order; a few are converted at a time, because Arrow needs no interpreter lock."""
    with ThreadPoolExecutor(_CONVERTED_AT_A_TIME) as threads:
        running: deque[Future[T]] = deque()
        for batch in batches:
            running.append(threads.submit(convert, batch))
            if len(running) > _CONVERTED_AT_A_TIME:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def as_texts(columns: Columns, batch: pa.RecordBatch) -> list[pa.Array]:
    """Return each column as text: decimal strings in the currency's scale, ISO days, UTC instants."""
    return [_as_text(batch, name, kind) for name, kind in columns.items()]


def _as_text(batch: pa.RecordBatch, name: str, kind: str) -> pa.Array:
    column = batch.column(name)
    if kind == "text":
        return column
    if kind == "amount":
        return by_currency(batch, name, _decimal_texts)
    if kind == "instant":
        texts = pc.binary_replace_slice(column.cast(_WITHOUT_ZONE).cast(pa.string()), 10, 11, "T")
        return pc.binary_replace_slice(texts, _INSTANT_WIDTH, _INSTANT_WIDTH, "Z")
    return column.cast(pa.string())


def as_decimals(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Return amounts in major units, with eight decimals."""
    return by_currency(batch, name, _decimals)


def by_currency(batch: pa.RecordBatch, name: str, convert: Callable[[pa.Array, int], pa.Array]) -> pa.Array:
    """Convert amounts with `convert(amounts, decimals)`, by the decimals of each row's currency.

    It runs once for each number of decimals in the batch: a batch has few currencies, and most have two decimals.
    """
    amounts, currencies = batch.column(name), batch.column("currency")
    scales = {code: money.decimals(code) for code in currencies_of(batch)}
    converted: pa.Array = None
    for scale in sorted(set(scales.values())):
        one = convert(amounts, scale)
        codes = pa.array([code for code, decimals in scales.items() if decimals == scale], pa.string())
        converted = one if converted is None else pc.if_else(pc.is_in(currencies, codes), one, converted)
    return converted


def currencies_of(batch: pa.RecordBatch) -> Sequence[str]:
    codes: list[str] = pc.unique(batch.column("currency")).to_pylist()
    return codes


def sum_of(amounts: pa.Array) -> int:
    """Return the exact sum of amounts of any size."""
    return int(pc.sum(amounts.cast(_MINOR)).as_py() or 0)


def _decimal_texts(amounts: pa.Array, scale: int) -> pa.Array:
    """Return amounts as `money.format_amount` writes them."""
    digits = pc.utf8_lpad(pc.abs(amounts).cast(pa.string()), scale + 1, "0")
    if scale:
        digits = pc.binary_replace_slice(digits, -scale, -scale, ".")
    return pc.if_else(pc.less(amounts, 0), pc.binary_replace_slice(digits, 0, 0, "-"), digits)


def _decimals(amounts: pa.Array, scale: int) -> pa.Array:
    return amounts.cast(_MINOR).view(pa.decimal128(38, scale)).cast(EXACT)
