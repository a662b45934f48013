"""Matching a provider's report with our wagers, bet by bet, in flat memory.

Ids that were seen are kept in a scratch file, so that neither the report nor our wagers have to fit into memory, and a
replica will do.
"""

import csv
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import openpyxl
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database import run_together
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.sportsbook.bets import BetKey
from wallet_hooks.sportsbook.book import WagerState
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.sportsbook.queries import KNOWN_WAGERS, wager_states

COLUMNS = ("brand", "bet", "currency", "stake", "payout", "status")
_BATCH = 2000
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
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        for row in book.worksheets[0].iter_rows(values_only=True):
            yield ["" if value is None else str(value) for value in row]
    finally:
        book.close()


def reconcile(session: Session, lines: Iterable[Line], matching: Matching, counted: Counter[str]) -> Iterator[Break]:
    """The breaks, those of the report's lines first, then what is missing in it. `counted` counts lines and breaks."""
    brands = {brand.client: brand_facts(brand) for brand in session.scalars(select(Brand))}
    with tempfile.TemporaryDirectory() as directory, closing(sqlite3.connect(Path(directory) / "seen.db")) as seen:
        seen.execute("PRAGMA journal_mode = OFF")
        seen.execute("CREATE TABLE seen (brand TEXT, bet TEXT, PRIMARY KEY (brand, bet)) WITHOUT ROWID")
        for one in _breaks(session, lines, matching, brands, seen, counted):
            counted[one.kind] += 1
            yield one


def _breaks(
    session: Session,
    lines: Iterable[Line],
    matching: Matching,
    brands: Mapping[str, BrandFacts],
    seen: sqlite3.Connection,
    counted: Counter[str],
) -> Iterator[Break]:
    lines = iter(lines)
    while batch := list(islice(lines, _BATCH)):
        counted["lines"] += len(batch)
        keys = list({BetKey(matching.game, line.brand, line.bet): None for line in batch})
        printable = [key for key in keys if str(key).isprintable()]
        (rows,) = run_together(session, [KNOWN_WAGERS(printable)])
        known = wager_states(rows)
        for line in batch:
            if not seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (line.brand, line.bet)).rowcount:
                yield Break("duplicate", line.brand, line.bet, line.number, line.stake, "")
            else:
                found = _compare(line, known.get(BetKey(matching.game, line.brand, line.bet)), matching, brands)
                if found is not None:
                    yield found
    yield from _missing_there(session, matching, brands, seen)


def _compare(
    line: Line, wager: WagerState | None, matching: Matching, brands: Mapping[str, BrandFacts]
) -> Break | None:
    """The first thing in which a line and our wager differ."""
    if wager is None or wager.stake is None or wager.currency is None:
        return _break("missing_here", line, f"{line.stake} {line.currency}", "")
    if line.currency != wager.currency:
        return _break("currency", line, line.currency, wager.currency)
    if _minor(line.stake, wager.currency) != wager.stake:
        return _amount(line, "stake", line.stake, wager.stake, wager.currency)
    theirs, ours = _STATUSES.get(line.status.lower(), line.status), _status(wager)
    if line.status and theirs != ours:
        return _break("status", line, line.status, ours)
    if line.payout and ours == "settled" and _minor(line.payout, wager.currency) != wager.payout:
        return _amount(line, "payout", line.payout, wager.payout or 0, wager.currency)
    brand = brands.get(line.brand)
    if brand is not None and not matching.first <= brand.booking_day(wager.placed_at) <= matching.last:
        return _break("late", line, "in this report", f"placed at {wager.placed_at.isoformat()}")
    return None


def _missing_there(
    session: Session, matching: Matching, brands: Mapping[str, BrandFacts], seen: sqlite3.Connection
) -> Iterator[Break]:
    """Our wagers of the period that the report does not have."""
    for client, brand in sorted(brands.items()):
        begin, end = brand.day_begins(matching.first), brand.day_begins(matching.last + timedelta(days=1))
        query = select(Wager.uid, Wager.stake, Wager.currency, Wager.placed_at).where(
            Wager.game == matching.game, Wager.client == client, Wager.cost.is_not(None),
            Wager.placed_at >= begin, Wager.placed_at < end,
        ).order_by(Wager.uid)  # fmt: skip
        for uid, stake, currency, placed_at in session.execute(query.execution_options(yield_per=_BATCH)):
            if seen.execute("SELECT 1 FROM seen WHERE brand = ? AND bet = ?", (client, uid)).fetchone() is None:
                told = money.format_amount(stake or 0, currency or "")
                ours = f"{told} {currency}, placed at {placed_at.isoformat()}"
                kind = "late" if _is_at_the_edge(placed_at, begin, end, matching.tolerance) else "missing_there"
                yield Break(kind, client, uid, None, "", ours)


def _is_at_the_edge(placed_at: datetime, begin: datetime, end: datetime, tolerance: timedelta) -> bool:
    return placed_at < begin + tolerance or placed_at >= end - tolerance


def _status(wager: WagerState) -> str:
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
