"""Exports: a report in a format, with a manifest that proves what it is."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.batches import Columns, currencies_of, sum_of
from wallet_hooks.finance.journals import DIALECTS, write_journal
from wallet_hooks.finance.reports import Asked, report_named
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.ledger.models import Period, Transaction
from wallet_hooks.ledger.sealing import newest_seal

FORMATS = (*WRITERS, *DIALECTS)


@dataclass(slots=True)
class Counted:
    """Batches on their way out, counted and summed: totals by currency and column, in minor units."""

    columns: Columns
    rows: int = 0
    totals: dict[str, dict[str, int]] = field(default_factory=dict)

    def of(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, counted as they pass. Running balances sum to nothing of interest."""
        summed = [name for name, kind in self.columns.items() if kind == "amount" and name not in _RUNNING]
        for batch in batches:
            self.rows += batch.num_rows
            for currency in currencies_of(batch) if summed else ():
                of_currency = batch.filter(pc.equal(batch.column("currency"), currency))
                for name in summed:
                    self._add(currency, name, of_currency.column(name))
            yield batch

    def _add(self, currency: str, name: str, amounts: pa.Array) -> None:
        """An entry's amount is a debit or a credit."""
        sums = self.totals.setdefault(currency, {})
        total = sum_of(amounts)
        if name == "amount":
            debit = sum_of(amounts.filter(pc.greater(amounts, 0)))
            sums["debit"] = sums.get("debit", 0) + debit
            name, total = "credit", debit - total
        sums[name] = sums.get(name, 0) + total


_RUNNING = ("balance", "balance_after")


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
    counted = Counted(found.columns)
    with reading(engine) as session:
        batches = counted.of(found.batches(session, asked))
        if format_ in DIALECTS:
            write_journal(format_, session, asked, batches, out)
        else:
            WRITERS[format_](found.columns, batches, out)
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
