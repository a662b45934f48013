"""Reconciliation: match a provider's report with our wagers, bet by bet, with constant memory.

Both sides are read in the order of brand and bet, so neither has to fit into memory. The database is only read, so a
replica is enough.
"""

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

import pyarrow as pa
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database.bulk import run
from wallet_hooks.database.streams import stream_batches
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.batches import rows_of
from wallet_hooks.finance.pacing import at_a_pace
from wallet_hooks.finance.provider_report import COLUMNS, ReportLine
from wallet_hooks.finance.report_request import check_period
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.service import all_games
from wallet_hooks.sportsbook.loading import KNOWN_WAGERS
from wallet_hooks.sportsbook.messages import LOSS_RESULTS, VOID_RESULTS, BetKey, is_returned
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.text_checks import is_storable

_BATCH = 2000
_BET = attrgetter("brand", "bet")
_WAGER_SCHEMA = pa.schema(
    {
        "client": pa.string(), "uid": pa.string(), "currency": pa.string(), "stake": pa.int64(), "payout": pa.int64(),
        "status": pa.string(), "outcome": pa.string(), "placed_at": pa.timestamp("us", tz="UTC"),
    }
)  # fmt: skip
# Providers' words for a bet's status, and ours: its stake is open, was settled, or was returned to the customer.
_WON = ("won", "win")
_STATUSES = {
    **dict.fromkeys(("open", "pending", "accepted", "placed"), "open"),
    **dict.fromkeys(("settled", "closed", *_WON, *LOSS_RESULTS), "settled"),
    **dict.fromkeys(("refunded", *VOID_RESULTS), "returned"),
}


class WagerFacts(NamedTuple):
    """The columns of a wager that are matched; amounts in minor units of its currency."""

    brand: str
    bet: str
    currency: str
    stake: int
    payout: int | None
    status: str
    outcome: str | None
    placed_at: datetime


class Break(NamedTuple):
    """A difference between report and wagers. `line` is the report's line number, None for a bet that it lacks."""

    kind: str
    brand: str
    bet: str
    line: int | None
    theirs: str
    ours: str


# The tolerance of a match, if none is given, and the longest: a day.
DEFAULT_TOLERANCE_MINUTES, MAX_TOLERANCE_MINUTES = 60, 1440


class MatchScope(NamedTuple):
    """What is matched: a provider's game, the period in accounting days of each brand, and the brands.

    A bet that was placed within `tolerance` of the period's edges may be in the provider's previous or next period.
    Without `brands`, those that the report names are matched, or all if it names none.
    """

    game: str
    first: date
    last: date
    tolerance: timedelta
    brands: frozenset[str] = frozenset()


def reconcile(
    session: Session, lines: Iterable[ReportLine], scope: MatchScope, counted: Counter[str]
) -> Iterator[Break]:
    """Yield breaks in the order of brand and bet, and count lines and breaks by kind in `counted`.

    Raises RefusedError (`bad_period`, `unknown_provider`), BadReportError.
    """
    check_period(scope.first, scope.last)
    _check_game(session, scope.game)
    brands = {brand.client: brand_facts(brand) for brand in session.scalars(select(Brand))}
    with tempfile.TemporaryDirectory() as directory, closing(sqlite3.connect(Path(directory) / "lines.db")) as scratch:
        theirs = _sorted(scratch, lines, counted)
        matched = scope.brands or _named_brands(scratch) or brands.keys()
        ours = _wagers_of_the_period(session, scope, {client: brands[client] for client in matched & brands.keys()})
        for one in _breaks(session, ours, theirs, scope, brands):
            counted[one.kind] += 1
            yield one


def _check_game(session: Session, game: str) -> None:
    """Raise RefusedError (`unknown_provider`) unless a brand has a provider with this game."""
    games = all_games(session)
    if game not in games:
        raise RefusedError(
            "unknown_provider", f"provider: {game!r} is unknown; accepted are {', '.join(games) or 'none yet'}"
        )


def _sorted(scratch: sqlite3.Connection, lines: Iterable[ReportLine], counted: Counter[str]) -> Iterator[ReportLine]:
    """Return the report's lines by brand, bet and line number. SQLite sorts them in a file, to keep memory constant."""
    scratch.execute("PRAGMA journal_mode = OFF")
    scratch.execute(f"CREATE TABLE line (number INTEGER, {', '.join(f'{name} TEXT' for name in COLUMNS)})")
    counted["lines"] = scratch.executemany("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)", lines).rowcount
    return map(ReportLine._make, scratch.execute("SELECT * FROM line ORDER BY brand, bet, number"))


def _named_brands(scratch: sqlite3.Connection) -> frozenset[str]:
    """Return the brands of the report's lines."""
    return frozenset(brand for (brand,) in scratch.execute("SELECT DISTINCT brand FROM line WHERE brand <> ''"))


def _wagers_of_the_period(
    session: Session, scope: MatchScope, brands: Mapping[str, BrandFacts]
) -> Iterator[WagerFacts]:
    for client, brand in sorted(brands.items()):
        begin, end = _bounds(brand, scope)
        query = select(*(getattr(Wager, name) for name in _WAGER_SCHEMA.names)).where(
            Wager.game == scope.game, Wager.client == client, Wager.cost.is_not(None),
            Wager.placed_at >= begin, Wager.placed_at < end,
        ).order_by(Wager.uid)  # fmt: skip
        for batch in at_a_pace(session, stream_batches(session, query, _WAGER_SCHEMA)):
            yield from map(WagerFacts._make, rows_of(batch))


def _breaks(
    session: Session,
    ours: Iterable[WagerFacts],
    theirs: Iterable[ReportLine],
    scope: MatchScope,
    brands: Mapping[str, BrandFacts],
) -> Iterator[Break]:
    """Compare both sides in the order of brand and bet. Lines without a wager in the period are looked up later."""
    unknown: list[ReportLine] = []
    merged: Iterable[WagerFacts | ReportLine] = heapq.merge(ours, theirs, key=_BET)
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
            yield _missing_there(wager, scope, brands[wager.brand])
        elif line is not None and wager is not None:
            yield from _compare(line, wager)
        elif line is not None:
            unknown.append(line)
        if len(unknown) == _BATCH:
            yield from _look_up(session, unknown, scope, brands)
            unknown.clear()
    yield from _look_up(session, unknown, scope, brands)


def _look_up(
    session: Session, lines: Sequence[ReportLine], scope: MatchScope, brands: Mapping[str, BrandFacts]
) -> Iterator[Break]:
    """Look up lines without a wager in the period in all history, and yield their breaks."""
    keys = [BetKey(scope.game, line.brand, line.bet) for line in lines]
    readable = [key for key in keys if is_storable(str(key))]
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
        if not differing and not scope.first <= brands[line.brand].booking_day(state.placed_at) <= scope.last:
            yield _break("late", line, "in this report", f"placed at {state.placed_at.isoformat()}")


def _compare(line: ReportLine, wager: WagerFacts) -> Iterator[Break]:
    """Yield the first difference between a line and our wager, if any."""
    theirs, ours = _STATUSES.get(line.status.lower(), line.status), _status(wager)
    if line.currency != wager.currency:
        yield _break("currency", line, line.currency, wager.currency)
    elif _minor(line.stake, wager.currency) != wager.stake:
        yield _amount(line, "stake", line.stake, wager.stake, wager.currency)
    elif line.status and theirs != ours:
        yield _break("status", line, line.status, ours)
    elif line.status.lower() in _WON and not line.payout and not wager.payout:
        yield _break("status", line, line.status, "settled without a payout")
    else:
        payout = line.payout or ("0" if line.status.lower() in LOSS_RESULTS else "")
        if payout and _minor(payout, wager.currency) not in _payouts(wager, ours):
            yield _amount(line, "payout", payout, wager.payout or 0, wager.currency)


def _payouts(wager: WagerFacts, status: str) -> tuple[int | None, ...]:
    """Return the payouts that a report may state. For a returned stake, providers state the stake or 0."""
    if status == "settled":
        return (wager.payout,)
    return (0, wager.stake) if status == "returned" else (0,)


def _missing_there(wager: WagerFacts, scope: MatchScope, brand: BrandFacts) -> Break:
    """Return the break for a wager of the period that the report does not have."""
    begin, end = _bounds(brand, scope)
    is_at_the_edge = wager.placed_at < begin + scope.tolerance or wager.placed_at >= end - scope.tolerance
    stake = money.format_amount(wager.stake, wager.currency)
    ours = f"{stake} {wager.currency}, placed at {wager.placed_at.isoformat()}"
    return Break("late" if is_at_the_edge else "missing_there", wager.brand, wager.bet, None, "", ours)


def _bounds(brand: BrandFacts, scope: MatchScope) -> tuple[datetime, datetime]:
    return brand.day_begins(scope.first), brand.day_begins(scope.last + timedelta(days=1))


def _status(wager: WagerFacts) -> str:
    return "returned" if is_returned(wager.status, wager.outcome) else wager.status


def _minor(text: str, currency: str) -> int | None:
    """Return minor units; None for an invalid amount."""
    try:
        return money.parse_number(text, currency)
    except money.MoneyError:
        return None


def _amount(line: ReportLine, what: str, theirs: str, ours: int, currency: str) -> Break:
    return _break("amount", line, f"{what} {theirs}", f"{what} {money.format_amount(ours, currency)}")


def _break(kind: str, line: ReportLine, theirs: str, ours: str) -> Break:
    return Break(kind, line.brand, line.bet, line.number, theirs, ours)


BREAK_COLUMNS: Mapping[str, str] = {
    "kind": "text",
    "brand": "text",
    "bet": "text",
    "line": "integer",
    "theirs": "text",
    "ours": "text",
}
