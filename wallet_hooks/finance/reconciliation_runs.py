"""Stored runs of reconciliations, with their breaks."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from io import BufferedReader

from sqlalchemy import insert
from sqlalchemy.orm import Session

from wallet_hooks.finance.models import Reconciliation, ReconciliationBreak
from wallet_hooks.finance.reconciliation import Break, MatchScope

# Breaks that are stored of a run; all are counted. More of them mean that the wrong file was matched.
MAX_STORED_BREAKS = 10_000
_LONGEST_TEXT = 500  # characters


def keep_first(breaks: Iterable[Break], kept: list[Break]) -> Iterator[Break]:
    """Yield the breaks, and add the first ones, which `store_run` stores, to `kept`."""
    for one in breaks:
        if len(kept) < MAX_STORED_BREAKS:
            kept.append(one)
        yield one


def store_run(
    session: Session,
    scope: MatchScope,
    name: str,
    file: BufferedReader,
    counted: Counter[str],
    kept: Sequence[Break],
    *,
    now: datetime,
) -> Reconciliation:
    """Store a run: the report's file name and hash, the numbers that `reconcile` counted, and its first breaks."""
    run = Reconciliation(
        provider=scope.game,
        file=_storable_text(name, longest=255),
        sha256=hashlib.file_digest(file, "sha256").hexdigest(),
        first=scope.first,
        last=scope.last,
        lines=counted["lines"],
        breaks={kind: number for kind, number in counted.items() if kind != "lines"},
        run_at=now,
    )
    session.add(run)
    session.flush()
    rows = [
        {"reconciliation_id": run.id, "number": number, **_storable(one)} for number, one in enumerate(kept, start=1)
    ]
    if rows:
        session.execute(insert(ReconciliationBreak), rows)
    return run


def _storable(one: Break) -> dict[str, object]:
    return {name: _storable_text(value) if isinstance(value, str) else value for name, value in one._asdict().items()}


def _storable_text(text: str, *, longest: int = _LONGEST_TEXT) -> str:
    """Return a text as it can be stored: valid Unicode without zero characters, and not too long."""
    return text.encode(errors="replace").decode().replace("\0", "")[:longest]
