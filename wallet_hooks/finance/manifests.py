"""The manifest of an export: parameters, totals, hash and ledger position, beside the exported file."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database.brand_schemas import current_brand
from wallet_hooks.files import replace_atomically
from wallet_hooks.finance import general_ledger
from wallet_hooks.finance.batches import Columns, currencies_of, in_batches, sum_of
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.identity.service import own_brands
from wallet_hooks.ledger.models import Period
from wallet_hooks.ledger.queries import newest_transaction_id
from wallet_hooks.ledger.sealing import newest_seal

RowProgress = Callable[[int], None]


@dataclass(slots=True)
class RunningTotals:
    """Counts the rows of batches and sums their amounts by currency and column, in minor units.

    `last` is the last row so far.
    """

    columns: Columns
    credit_positive: bool = False
    progress: RowProgress = lambda rows: None
    rows: int = 0
    by_currency: dict[str, dict[str, int]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)

    def add(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Add each batch and yield it. Running balances are not summed, because their sum means nothing."""
        summed = [name for name, kind in self.columns.items() if kind == "amount" and name not in _RUNNING_BALANCES]
        for batch in batches:
            self.rows += batch.num_rows
            for currency in currencies_of(batch) if summed else ():
                of_currency = batch.filter(pc.equal(batch.column("currency"), currency))
                for name in summed:
                    self._add_amounts(currency, name, of_currency.column(name))
            self.last = batch.slice(batch.num_rows - 1).to_pylist()[0]
            self.progress(batch.num_rows)
            yield batch

    def _add_amounts(self, currency: str, name: str, amounts: pa.Array) -> None:
        """Add a column's amounts. The column `amount` is signed, and is split into debit and credit."""
        sums = self.by_currency.setdefault(currency, {})
        total = sum_of(amounts)
        if name == "amount":
            positive_side, name = ("credit", "debit") if self.credit_positive else ("debit", "credit")
            positive = sum_of(amounts.filter(pc.greater(amounts, 0)))
            sums[positive_side] = sums.get(positive_side, 0) + positive
            total = positive - total
        sums[name] = sums.get(name, 0) + total


_RUNNING_BALANCES = ("balance", "balance_after")


def totals_of(lines: list[general_ledger.DailyLine]) -> RunningTotals:
    totals = RunningTotals(general_ledger.COLUMNS)
    for _ in totals.add(in_batches(general_ledger.COLUMNS, general_ledger.as_rows(lines))):
        pass
    return totals


def make_manifest(
    session: Session, report: str, format_: str, request: ReportRequest, totals: RunningTotals
) -> dict[str, Any]:
    """Return the manifest of an export that was read in this session, without the file's name and hash."""
    filters = dict(zip(("brand", "uid"), request.customer or (), strict=False))
    if current_brand(session.connection()) is not None:
        filters["brand"] = own_brands(session)[0].client
    if request.currency is not None:
        filters["currency"] = request.currency
    manifest = {
        "report": report,
        "format": format_,
        "period": {"from": request.first.isoformat(), "to": request.last.isoformat()},
        "filters": filters,
        "rows": totals.rows,
        "totals": {
            currency: {name: money.format_amount(minor, currency) for name, minor in sorted(sums.items())}
            for currency, sums in sorted(totals.by_currency.items())
        },
        "ledger": _position(session, report, request.last),
    }
    if request.page is not None:
        manifest["page"] = request.page._asdict()
        manifest["next"] = _next_page(totals.last)
    return manifest


def _next_page(last: dict[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of the page after this one; None at the statement's end."""
    if last["kind"] == "closing":
        return None
    return {"item": last["item"], "balance": money.format_amount(int(last["balance"]), last["currency"])}


def _position(session: Session, report: str, last: date) -> dict[str, Any]:
    """Return the ledger's position: its last transaction and its newest seal, whose hash is then kept outside, too."""
    seal = newest_seal(session)
    is_of_ledger = report != "deliveries"  # which are of UTC days, and may be deleted
    return {
        "last_transaction": newest_transaction_id(session),
        "period_is_closed": is_of_ledger and bool(session.scalar(select(func.max(Period.day) >= last))),
        "newest_seal": None if seal is None else {"day": seal.day.isoformat(), "hash": seal.hash},
    }


def manifest_of(path: Path) -> Path:
    """Return the path of an export's manifest."""
    return path.with_name(f"{path.name}.manifest.json")


def hash_of(path: Path) -> str:
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def write_manifest(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    with replace_atomically(manifest_of(path)) as out:
        out.write((json.dumps(manifest, indent=2) + "\n").encode())
    return manifest


class FurtherFiles(NamedTuple):
    """Further files of earlier exports to a path, with their hashes, and whether all are of the `same` report."""

    hashes: dict[str, str]
    same: bool


def further_files(path: Path, manifest: Mapping[str, Any]) -> FurtherFiles:
    """Return the further files that the manifest of an earlier export lists, compared with a new `manifest`.

    Only files that are named as this module names them are returned.
    """
    try:
        earlier = json.loads(manifest_of(path).read_text(encoding="utf-8"))
        hashes = {str(one["file"]): str(one["sha256"]) for name in _LISTS for one in earlier.get(name, ())}
        same = _EARLIER not in earlier and all(earlier[name] == manifest[name] for name in _REPORT)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return FurtherFiles({}, same=False)
    pattern = re.compile(rf"{re.escape(path.stem)}-\d+{re.escape(path.suffix)}")
    return FurtherFiles({name: hash_ for name, hash_ in hashes.items() if pattern.fullmatch(name)}, same)


def with_further_files(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the manifest of one part with the other files beside it, which an export of all parts may replace.

    Those of another report are listed apart: they are no part of this one.
    """
    found = further_files(path, manifest)
    if not found.hashes:
        return manifest
    if not found.same:
        return manifest | {_EARLIER: file_list(found.hashes)}
    return manifest | {_FILES: file_list({path.name: manifest["sha256"], **found.hashes})}


_FILES, _EARLIER = _LISTS = "files", "earlier_files"
_REPORT = ("report", "format", "period", "filters")  # what two files of one report have in common


def file_list(hashes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"file": name, "sha256": hash_} for name, hash_ in hashes.items()]
