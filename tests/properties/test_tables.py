"""What the formats make of columns is what the plain functions make of single values."""

import csv
import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks import money
from wallet_hooks.finance.batches import in_batches
from wallet_hooks.finance.tables import write_csv, write_jsonl, write_parquet

COLUMNS = {"note": "text", "currency": "text", "amount": "amount", "count": "integer"}
AMOUNTS = st.one_of(st.none(), st.integers(-(10**20), 10**20), st.integers(-20, 20))
TEXTS = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(['"', "=1", "a,b", "\r\n"])
)
ROWS = st.lists(
    st.tuples(TEXTS, st.sampled_from(["EUR", "JPY", "KWD", "USD"]), AMOUNTS, st.integers(-9, 9)), max_size=20
)


def told(amount: int | None, currency: str) -> str | None:
    return None if amount is None else money.format_amount(amount, currency)


@given(ROWS)
def test_csv_says_what_the_rows_say(rows: list[tuple[str | None, str, int | None, int]]) -> None:
    out = io.BytesIO()
    write_csv(COLUMNS, in_batches(COLUMNS, rows), out)
    read = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert read[0] == list(COLUMNS)
    for (note, currency, amount, count), found in zip(rows, read[1:], strict=True):
        text = note or ""
        dangerous = text[:1] in set("=+-@") or (text[:1] != "" and text[0] < " ")
        assert found == [f"'{text}" if dangerous else text, currency, told(amount, currency) or "", str(count)]


@given(ROWS)
def test_json_lines_and_parquet_say_it_exactly(rows: list[tuple[str | None, str, int | None, int]]) -> None:
    lines, parquet = io.BytesIO(), io.BytesIO()
    write_jsonl(COLUMNS, in_batches(COLUMNS, rows), lines)
    write_parquet(COLUMNS, in_batches(COLUMNS, rows), parquet)
    found = [json.loads(line) for line in lines.getvalue().decode().split("\n")[:-1]]
    assert found == [
        {"note": note, "currency": currency, "amount": told(amount, currency), "count": count}
        for note, currency, amount, count in rows
    ]
    amounts = [row["amount"] for row in pq.read_table(parquet).to_pylist()]
    assert amounts == [
        None if amount is None else Decimal(money.format_amount(amount, currency)) for _, currency, amount, _ in rows
    ]
