"""The cells of CSV exports: exact amounts and instants, and texts that no spreadsheet reads as a formula."""

import csv
import io
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks import money
from wallet_hooks.finance.batches import Row, in_batches
from wallet_hooks.finance.tables import write_csv

_COLUMNS = {"name": "text", "at": "instant", "currency": "text", "amount": "amount"}
_TEXTS = st.text(st.sampled_from("az09 é€'\"=+-@＝＋－＠;,\t\r\n\x00\x1f") | st.characters(exclude_categories=["Cs"]))
_INSTANTS = st.datetimes(timezones=st.just(UTC))
_AMOUNTS = st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(-200, 200)
_SIGN = "[=+\\-@＝＋－＠]"
_CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])


def cells(rows: list[Row]) -> list[dict[str, str]]:
    """Return the rows as a CSV reader reads them."""
    out = io.BytesIO()
    write_csv(_COLUMNS, in_batches(_COLUMNS, rows), out)
    assert out.getvalue().endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))


@given(st.lists(st.tuples(_TEXTS, _INSTANTS, _CURRENCIES, _AMOUNTS), min_size=1))
def test_a_csv_reader_reads_every_cell(rows: list[tuple[str, datetime, str, int]]) -> None:
    read = cells(rows)
    assert len(read) == len(rows)
    for cell, (name, at, currency, amount) in zip(read, rows, strict=True):
        assert cell["name"].replace("'", "") == name.replace("'", "")
        assert cell["at"] == f"{at.replace(tzinfo=None).isoformat('T', 'microseconds')}Z"
        assert cell["amount"] == money.format_amount(amount, currency)


_PLAIN = st.text("az09 é€.:/_'")


@given(st.lists(_TEXTS | _PLAIN), _PLAIN, st.sampled_from("=+-@＝＋－＠"))
def test_no_cell_begins_with_a_formula(names: list[str], text: str, sign: str) -> None:
    """The cells of a spreadsheet that separates them by `;` or tab, too."""
    formulas = [f"{sign}{text}", f" {sign}", f"x;{sign}", f"x\t{sign}"]
    for column in ([*names, *formulas], *([formula] for formula in formulas)):
        for cell in cells([(name, datetime(2026, 11, 20, tzinfo=UTC), "EUR", 1) for name in column]):
            for part in re.split(r"[;\t\r\n]", cell["name"]):
                assert not re.match(r'[\s"]*[=+\-@＝＋－＠]', part)


@given(st.lists(_TEXTS | st.text("'-;\t x"), min_size=1))
def test_a_text_can_be_read_back(names: list[str]) -> None:
    """As docs/finance.md says."""
    for cell, name in zip(cells([(one, None, "EUR", None) for one in names]), names, strict=True):
        text = re.sub(rf"""([;\t\r\n][\s"]*)'('*{_SIGN})""", r"\1\2", cell["name"], flags=re.ASCII)
        assert re.sub(rf"^'('*([\x00-\x1f]|\s*{_SIGN}))", r"\1", text, flags=re.ASCII) == name


@given(_PLAIN)
def test_texts_without_special_characters_are_unchanged(name: str) -> None:
    (cell,) = cells([(name, datetime(2026, 11, 20, tzinfo=UTC), "EUR", 1)])
    assert cell["name"] == name


def test_empty_cells() -> None:
    assert cells([(None, None, "EUR", None)]) == [{"name": "", "at": "", "currency": "EUR", "amount": ""}]
