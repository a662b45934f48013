"""Matching a provider's report with our wagers, bet by bet, in flat memory.

Both are read in the order of brand and bet, so that neither has to fit into memory. Nothing is written to the database
that is read: a replica will do.
"""

import csv
import heapq
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

import openpyxl
import pyarrow as pa
from openpyxl.utils.exceptions import InvalidFileException
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database.bulk import run
from wallet_hooks.database.streams import stream_batches
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.asked import check_period
from wallet_hooks.finance.batches import rows_of
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.sportsbook.loading import KNOWN_WAGERS
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.sportsbook.models import Wager

COLUMNS = ("brand", "bet", "currency", "stake", "payout", "status")
_BATCH = 2000
_BET = attrgetter("brand", "bet")
_WAGER_SCHEMA = pa.schema(
    {
        "client": pa.string(), "uid": pa.string(), "currency": pa.string(), "stake": pa.int64(), "payout": pa.int64(),
        "status": pa.string(), "outcome": pa.string(), "placed_at": pa.timestamp("us", tz="UTC"),
    }
)  # fmt: skip
_LOST = ("lost", "loss")
# What providers call it, and what that is: a stake that is open, one that was settled, one that was given back.
_STATUSES = {
    **dict.fromkeys(("open", "pending", "accepted", "placed"), "open"),
    **dict.fromkeys(("settled", "won", "lost", "win", "loss", "closed"), "settled"),
    **dict.fromkeys(("void", "cancelled", "canceled", "refund", "refunded", "push", "returned"), "returned"),
}


class Line(NamedTuple):
    """A line of the provider's report; amounts are texts in major units, empty where the report is silent."""

    number: int
    brand: str
    bet: str
    currency: str
    stake: str
    payout: str
    status: str


class WagerFacts(NamedTuple):
    """What of a wager is matched; amounts in minor units of its currency."""

    brand: str
    bet: str
    currency: str
    stake: int
    payout: int | None
    status: str
    outcome: str | None
    placed_at: datetime


class Break(NamedTuple):
    """Where the two differ. `line` is the report's, None for what is not in it."""

    kind: str
    brand: str
    bet: str
    line: int | None
    theirs: str
    ours: str


class Matching(NamedTuple):
    """What is matched: a provider's game, and our days (of each brand) that the report is about.

    What was placed within `tolerance` of the period's edges may be on either side of the provider's cut-off.
    """

    game: str
    first: date
    last: date
    tolerance: timedelta


def read_report(path: Path, mapping: Mapping[str, str], *, brand: str | None) -> Iterator[Line]:
    """The lines of a CSV or XLSX report. `mapping` names the report's columns; `brand` is for a report of one.

    Raises RefusedError where a column is missing.
    """
    rows = _xlsx_rows(path) if path.suffix.lower() == ".xlsx" else _csv_rows(path)
    head = next(rows, None) or []
    names = {column: mapping.get(column, column) for column in COLUMNS}
    for name in names.values():
        if head.count(name) > 1:
            raise RefusedError("bad_report", f"the report has {head.count(name)} columns {name!r}")
    places = {column: head.index(name) if name in head else None for column, name in names.items()}
    for column in ("bet", "currency", "stake", *(() if brand else ("brand",))):
        if places[column] is None:
            raise RefusedError("bad_report", f"the report has no column {names[column]!r}")
    for number, row in enumerate(rows, start=2):
        if any(row):
            values = {
                column: row[place].strip() if place is not None and place < len(row) else ""
                for column, place in places.items()
            }
            yield Line(number, **{**values, "brand": values["brand"] or brand or ""})


def _csv_rows(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file)
    except (UnicodeError, csv.Error) as error:
        raise RefusedError("bad_report", f"{path.name}: {error}") from None


def _xlsx_rows(path: Path) -> Iterator[list[str]]:
    """What is wrong with a workbook surfaces as whatever its reader tripped over."""
    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # which some writers get wrong, and then rows are missing
            for row in sheet.iter_rows(values_only=True):
                yield [_cell(value) for value in row]
    except (BadZipFile, InvalidFileException, ParseError, LookupError, ValueError, TypeError, EOFError) as error:
        raise RefusedError(
            "bad_report", f"{path.name}: no workbook, or a broken one ({type(error).__name__})"
        ) from None


def _cell(value: object) -> str:
    """As it is shown: what a spreadsheet reckons is binary inside, and 15 digits are what it means."""
    if isinstance(value, float):
        return format(value, ".15g")
    return "" if value is None else str(value)


def reconcile(session: Session, lines: Iterable[Line], matching: Matching, counted: Counter[str]) -> Iterator[Break]:
    """The breaks, by brand and bet. `counted` counts lines and breaks. Raises RefusedError for what is no period."""
    check_period(matching.first, matching.last)
    brands = {brand.client: brand_facts(brand) for brand in session.scalars(select(Brand))}
    with tempfile.TemporaryDirectory() as directory, closing(sqlite3.connect(Path(directory) / "lines.db")) as scratch:
        theirs = _sorted(scratch, lines, counted)
        ours = _wagers_of_the_period(session, matching, brands)
        for one in _breaks(session, ours, theirs, matching, brands):
            counted[one.kind] += 1
            yield one


def _sorted(scratch: sqlite3.Connection, lines: Iterable[Line], counted: Counter[str]) -> Iterator[Line]:
    """The report's lines by brand and bet, then as they came; the scratch file sorts what memory cannot hold."""
    scratch.execute("PRAGMA journal_mode = OFF")
    scratch.execute(f"CREATE TABLE line (number INTEGER, {', '.join(f'{name} TEXT' for name in COLUMNS)})")
    counted["lines"] = scratch.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", lines).rowcount
    return map(Line._make, scratch.execute("SELECT * FROM line ORDER BY brand, bet, number"))


def _wagers_of_the_period(
    session: Session, matching: Matching, brands: Mapping[str, BrandFacts]
) -> Iterator[WagerFacts]:
    for client, brand in sorted(brands.items()):
        begin, end = _bounds(brand, matching)
        query = select(*(getattr(Wager, name) for name in _WAGER_SCHEMA.names)).where(
            Wager.game == matching.game, Wager.client == client, Wager.cost.is_not(None),
            Wager.placed_at >= begin, Wager.placed_at < end,
        ).order_by(Wager.uid)  # fmt: skip
        for batch in stream_batches(session, query, _WAGER_SCHEMA):
            yield from map(WagerFacts._make, rows_of(batch))


def _breaks(
    session: Session,
    ours: Iterable[WagerFacts],
    theirs: Iterable[Line],
    matching: Matching,
    brands: Mapping[str, BrandFacts],
) -> Iterator[Break]:
    """Both sides at once, in the order of brand and bet; what is theirs alone is looked up in all our history."""
    unknown: list[Line] = []
    merged: Iterable[WagerFacts | Line] = heapq.merge(ours, theirs, key=_BET)
    for _, group in groupby(merged, key=_BET):
        wager = line = None
        for one in group:
            if isinstance(one, WagerFacts):
                wager = one
            elif line is None:
                line = one
            else:
                yield Break("duplicate", one.brand, one.bet, one.number, one.stake, "")
        if line is None and wager is not None:
            yield _missing_there(wager, matching, brands[wager.brand])
        elif line is not None and wager is not None:
            yield from _compare(line, wager)
        elif line is not None:
            unknown.append(line)
        if len(unknown) == _BATCH:
            yield from _looked_up(session, unknown, matching, brands)
            unknown.clear()
    yield from _looked_up(session, unknown, matching, brands)


def _looked_up(
    session: Session, lines: Sequence[Line], matching: Matching, brands: Mapping[str, BrandFacts]
) -> Iterator[Break]:
    """Lines that are about no wager that was taken in the period."""
    keys = [BetKey(matching.game, line.brand, line.bet) for line in lines]
    readable = [key for key in keys if str(key).isprintable()]
    known = {wager.key: wager for wager in run(session.connection(), KNOWN_WAGERS(readable))}
    for key, line in zip(keys, lines, strict=True):
        state = known.get(key)
        if state is None or state.stake is None or state.currency is None:
            yield _break("missing_here", line, f"{line.stake} {line.currency}", "")
            continue
        values = {name: getattr(state, name) for name in _WAGER_SCHEMA.names[2:]}
        wager = WagerFacts(line.brand, line.bet, **values)
        differing = list(_compare(line, wager))
        yield from differing
        if not differing and not matching.first <= brands[line.brand].booking_day(state.placed_at) <= matching.last:
            yield _break("late", line, "in this report", f"placed at {state.placed_at.isoformat()}")


def _compare(line: Line, wager: WagerFacts) -> Iterator[Break]:
    """The first thing in which a line and our wager differ."""
    theirs, ours = _STATUSES.get(line.status.lower(), line.status), _status(wager)
    if line.currency != wager.currency:
        yield _break("currency", line, line.currency, wager.currency)
    elif _minor(line.stake, wager.currency) != wager.stake:
        yield _amount(line, "stake", line.stake, wager.stake, wager.currency)
    elif line.status and theirs != ours:
        yield _break("status", line, line.status, ours)
    else:
        payout = line.payout or ("0" if line.status.lower() in _LOST else "")
        if payout and _minor(payout, wager.currency) not in _payouts(wager, ours):
            yield _amount(line, "payout", payout, wager.payout or 0, wager.currency)


def _payouts(wager: WagerFacts, status: str) -> tuple[int | None, ...]:
    """What may be said to have been paid. Of a stake that came back some say the stake, and some nothing."""
    if status == "settled":
        return (wager.payout,)
    return (0, wager.stake) if status == "returned" else (0,)


def _missing_there(wager: WagerFacts, matching: Matching, brand: BrandFacts) -> Break:
    """Our wager of the period, which the report does not have."""
    begin, end = _bounds(brand, matching)
    is_at_the_edge = wager.placed_at < begin + matching.tolerance or wager.placed_at >= end - matching.tolerance
    told = money.format_amount(wager.stake, wager.currency)
    ours = f"{told} {wager.currency}, placed at {wager.placed_at.isoformat()}"
    return Break("late" if is_at_the_edge else "missing_there", wager.brand, wager.bet, None, "", ours)


def _bounds(brand: BrandFacts, matching: Matching) -> tuple[datetime, datetime]:
    return brand.day_begins(matching.first), brand.day_begins(matching.last + timedelta(days=1))


def _status(wager: WagerFacts) -> str:
    if wager.status == "cancelled" or wager.outcome == "void":
        return "returned"
    return wager.status


def _minor(text: str, currency: str) -> int | None:
    """Minor units; None for what is no amount."""
    try:
        return money.parse_number(text, currency)
    except money.MoneyError:
        return None


def _amount(line: Line, what: str, theirs: str, ours: int, currency: str) -> Break:
    return _break("amount", line, f"{what} {theirs}", f"{what} {money.format_amount(ours, currency)}")


def _break(kind: str, line: Line, theirs: str, ours: str) -> Break:
    return Break(kind, line.brand, line.bet, line.number, theirs, ours)


BREAK_COLUMNS: Mapping[str, str] = {
    "kind": "text",
    "brand": "text",
    "bet": "text",
    "line": "integer",
    "theirs": "text",
    "ours": "text",
}
