"""Files of reference rates: the European Central Bank's XML, and CSV with the columns date,currency,rate."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from xml.etree import ElementTree

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger.rates import PIVOT, ReferenceRate

_COLUMNS = ["date", "currency", "rate"]
_CURRENCY = re.compile(money.CURRENCY_CODE)


def read_rate_file(content: bytes, *, today: date) -> list[ReferenceRate]:
    """Read a file's rates, each one euro in units of a currency. Raises RefusedError (`bad_rates`).

    A day after today is refused: its rate would convert bets at once.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _bad("UTF-8 is expected") from None
    rows = _xml_rows(text) if text.lstrip().startswith("<") else _csv_rows(text)
    rates = [_reference_rate(*row) for row in rows]
    if not rates:
        raise _bad("no rates")
    if len({(one.day, one.currency) for one in rates}) < len(rates):
        raise _bad("a currency has two rates on one day")
    if (future := max(one.day for one in rates)) > today:
        raise _bad(f"{future} is after today, {today} (UTC)")
    return rates


def _xml_rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the rates of the bank's nested elements: `<Cube time="…"><Cube currency="…" rate="…"/></Cube>`."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _bad("a document type is not accepted")
    try:
        root = ElementTree.fromstring(text.encode())  # noqa: S314 - entities are refused above
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise _bad(f"not XML: {error}") from None
    for day in root.iter():
        if "time" in day.attrib:
            for one in day:
                yield day.attrib["time"], one.attrib.get("currency", ""), one.attrib.get("rate", "")


def _csv_rows(text: str) -> Iterator[tuple[str, str, str]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        if next(reader, None) != _COLUMNS:
            raise _bad(f"the first line must name the columns {','.join(_COLUMNS)}")
        for row in reader:
            if len(row) != len(_COLUMNS):
                raise _bad(f"line {reader.line_num}: {len(row)} columns; {len(_COLUMNS)} are expected")
            yield row[0], row[1], row[2]
    except csv.Error as error:
        raise _bad(f"line {reader.line_num}: {error}") from None


def _reference_rate(day: str, currency: str, rate: str) -> ReferenceRate:
    where = f"{day[:40]} {currency[:40]}"
    try:
        quoted_on = date.fromisoformat(day)
    except ValueError:
        raise _bad(f"{where}: not a date") from None
    if not _CURRENCY.fullmatch(currency) or currency == PIVOT:
        raise _bad(f"{where}: a currency code other than {PIVOT} is expected")
    try:
        return ReferenceRate(quoted_on, currency, money.parse_rate(rate))
    except money.AmountError as error:
        raise _bad(f"{where}: {error}") from None


def _bad(message: str) -> RefusedError:
    return RefusedError("bad_rates", message)
