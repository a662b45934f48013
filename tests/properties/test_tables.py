"""Formats write columns as the functions for single values do."""

import csv
import io
import json
from decimal import Decimal

import openpyxl
import pyarrow.parquet as pq
from hypothesis import example, given
from hypothesis import strategies as st

from wallet_hooks import money
from wallet_hooks.finance.batches import in_batches
from wallet_hooks.finance.tables import write_csv, write_jsonl, write_parquet, write_xlsx

COLUMNS = {"note": "text", "currency": "text", "amount": "amount", "count": "integer"}
AMOUNTS = st.one_of(st.none(), st.integers(-(10**20), 10**20), st.integers(-20, 20))
# Characters that begin formulas, that separate and quote cells, and that are skipped before formulas.
SIGNS = "=+-@＝＋－＠"
TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(f"{SIGNS};,\t\r\n\"' x1"),
    st.sampled_from(['"', "=1", "a,b", "\r\n", "x;=1+1", "x\t=1+1", 'x;"=1+1']),
)
ROWS = st.lists(
    st.tuples(TEXTS, st.sampled_from(["EUR", "JPY", "KWD", "USD"]), AMOUNTS, st.integers(-9, 9)), max_size=20
)


def decimal_text(amount: int | None, currency: str) -> str | None:
    return None if amount is None else money.format_amount(amount, currency)


@given(ROWS)
def test_csv_has_the_values_of_the_rows(rows: list[tuple[str | None, str, int | None, int]]) -> None:
    out = io.BytesIO()
    write_csv(COLUMNS, in_batches(COLUMNS, rows), out)
    read = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert read[0] == list(COLUMNS)
    for (note, currency, amount, count), found in zip(rows, read[1:], strict=True):
        assert found[1:] == [currency, decimal_text(amount, currency) or "", str(count)]
        assert without_apostrophes(found[0]) == without_apostrophes(note or "")
        if not set(note or "") & set(SIGNS) and ((note or "").lstrip("'") or " ") >= " ":
            assert found[0] == (note or "")


def without_apostrophes(text: str) -> str:
    return text.replace("'", "")


@given(TEXTS, TEXTS, st.sampled_from(["1.00", "-1.00"]))
@example(None, "x;=1+1", "1.00")
@example(None, 'x;"=1+1', "1.00")
@example(None, "x\t=1+1", "1.00")
@example(None, "x\n=1+1", "1.00")
@example("x\r", "=1+1", "1.00")
@example(" =1+1", None, "1.00")
def test_no_text_becomes_a_formula_with_any_separator(first: str | None, second: str | None, amount: str) -> None:
    """Some spreadsheets separate cells by `;` or tab, and ignore blanks before a formula."""
    columns = {"first": "text", "currency": "text", "second": "text", "amount": "amount"}
    out = io.BytesIO()
    write_csv(columns, in_batches(columns, [(first, "EUR", second, int(amount.replace(".", "")))]), out)
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(out.getvalue().decode(), newline=""), delimiter=separator):
            texts = row[:-1] if row[-1:] == [amount] else row
            assert not [text for text in texts if text.lstrip(" \t\r\n")[:1] in set(SIGNS)], separator


NUMBERS = {"currency": "text", "amount": "amount", "count": "integer"}


@given(st.lists(st.tuples(st.sampled_from(["EUR", "JPY", "KWD"]), AMOUNTS, st.integers(-(10**18), 10**18)), max_size=5))
def test_a_workbook_has_every_digit(rows: list[tuple[str, int | None, int]]) -> None:
    """A number has up to 15 digits; with more it is text."""
    out = io.BytesIO()
    write_xlsx(NUMBERS, in_batches(NUMBERS, rows), out)
    sheet = openpyxl.load_workbook(out).worksheets[0]
    found = list(sheet.iter_rows(min_row=2, max_row=len(rows) + 1, values_only=True)) if rows else []
    for (currency, amount, count), (code, *cells) in zip(rows, found, strict=True):
        assert code == currency
        for cell, wanted in zip(cells, (decimal_text(amount, currency), str(count)), strict=True):
            if wanted is None or isinstance(cell, str):
                assert cell == wanted
            else:
                assert Decimal(format(cell, ".15g")) == Decimal(wanted)


@given(ROWS)
def test_json_lines_and_parquet_are_exact(rows: list[tuple[str | None, str, int | None, int]]) -> None:
    lines, parquet = io.BytesIO(), io.BytesIO()
    write_jsonl(COLUMNS, in_batches(COLUMNS, rows), lines)
    write_parquet(COLUMNS, in_batches(COLUMNS, rows), parquet)
    found = [json.loads(line) for line in lines.getvalue().decode().split("\n")[:-1]]
    assert found == [
        {"note": note, "currency": currency, "amount": decimal_text(amount, currency), "count": count}
        for note, currency, amount, count in rows
    ]
    amounts = [row["amount"] for row in pq.read_table(parquet).to_pylist()]
    assert amounts == [
        None if amount is None else Decimal(money.format_amount(amount, currency)) for _, currency, amount, _ in rows
    ]
