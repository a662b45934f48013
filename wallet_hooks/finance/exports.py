"""Exports: a report in a format, with a manifest that proves what it is."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.journals import DIALECTS, write_journal
from wallet_hooks.finance.reports import Asked, Row, report_named
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.ledger.models import Period, Transaction
from wallet_hooks.ledger.sealing import newest_seal

FORMATS = (*WRITERS, *DIALECTS)


@dataclass(slots=True)
class Counted:
    """Rows on their way out, counted and summed: totals by currency and column, in minor units."""

    columns: dict[str, str]
    rows: int = 0
    totals: dict[str, dict[str, int]] = field(default_factory=dict)

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, counted a batch at a time. Running balances sum to nothing of interest."""
        names = list(self.columns)
        currency = names.index("currency") if "currency" in names else 0
        amounts = [
            (index, name) for index, name in enumerate(names) if self.columns[name] == "amount" and name not in _RUNNING
        ]
        rows = iter(rows)
        while batch := list(islice(rows, _BATCH)):
            self.rows += len(batch)
            for index, name in amounts:
                for row in batch:
                    amount = row[index]
                    if amount is not None:
                        self._add(row[currency], name, amount)
            yield from batch

    def _add(self, currency: str, name: str, amount: int) -> None:
        """An entry's amount is a debit or a credit."""
        if name == "amount":
            name, amount = ("debit", amount) if amount >= 0 else ("credit", -amount)
        sums = self.totals.setdefault(currency, {})
        sums[name] = sums.get(name, 0) + amount


_RUNNING = ("balance", "balance_after")
_BATCH = 10_000


def check(report: str, format_: str, asked: Asked) -> None:
    """Raises RefusedError for what cannot be exported."""
    found = report_named(report)
    if format_ not in FORMATS:
        raise RefusedError("unknown_format", f"a format is one of {', '.join(FORMATS)}")
    if format_ in DIALECTS and report != "journal":
        raise RefusedError("unknown_format", f"{format_} is a format of the report journal alone")
    if asked.first > asked.last:
        raise RefusedError("bad_period", f"the period ends ({asked.last}) before it begins ({asked.first})")
    if found.needs_customer != (asked.customer is not None):
        raise RefusedError("customer", "a statement, and nothing else, is of one customer: its brand and uid")


def write(engine: Engine, report: str, format_: str, asked: Asked, out: BinaryIO) -> dict[str, Any]:
    """Write a report as it is at this moment. Returns what the manifest says of it, without the file's hash."""
    check(report, format_, asked)
    found = report_named(report)
    counted = Counted(dict(found.columns))
    with reading(engine) as session:
        rows = counted.of(found.rows(session, asked))
        if format_ in DIALECTS:
            write_journal(format_, session, asked, rows, out)
        else:
            WRITERS[format_](found.columns, rows, out)
        return {
            "report": report,
            "format": format_,
            "period": {"from": asked.first.isoformat(), "to": asked.last.isoformat()},
            "filters": dict(zip(("brand", "uid"), asked.customer or (), strict=False)),
            "rows": counted.rows,
            "totals": {
                currency: {name: money.format_amount(minor, currency) for name, minor in sorted(sums.items())}
                for currency, sums in sorted(counted.totals.items())
            },
            "ledger": _position(session, asked.last),
        }


def write_file(engine: Engine, report: str, format_: str, asked: Asked, path: Path) -> dict[str, Any]:
    """Write a report to a file, and its manifest beside it (`<file>.manifest.json`), which is returned."""
    check(report, format_, asked)
    with path.open("wb") as out:
        manifest = write(engine, report, format_, asked, out)
    with path.open("rb") as written:
        manifest = {"file": path.name, **manifest, "sha256": hashlib.file_digest(written, "sha256").hexdigest()}
    path.with_name(f"{path.name}.manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _position(session: Session, last: date) -> dict[str, Any]:
    """Where the ledger stood: its last transaction, and the newest seal, which anchors the chain outside."""
    seal = newest_seal(session)
    return {
        "last_transaction": session.scalar(select(func.max(Transaction.id))),
        "period_is_closed": bool(session.scalar(select(func.max(Period.day) >= last))),
        "newest_seal": None if seal is None else {"day": seal.day.isoformat(), "hash": seal.hash},
    }
