"""Exports: write a report in a format, with a manifest of its parameters, totals, hash and ledger position."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database import reading
from wallet_hooks.database.brand_schemas import current_brand
from wallet_hooks.errors import RefusedError
from wallet_hooks.files import is_regular, replace_atomically
from wallet_hooks.finance import general_ledger
from wallet_hooks.finance.batches import Columns, currencies_of, in_batches, sum_of
from wallet_hooks.finance.general_ledger import DEFAULT_CODES, LEDGERS, AccountCodes, daily_lines, files_of
from wallet_hooks.finance.journals import DIALECTS, write_journal
from wallet_hooks.finance.report_request import ReportRequest, check_period
from wallet_hooks.finance.reports import report_named
from wallet_hooks.finance.tables import WRITERS, write_csv, write_parquet
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.service import own_brands
from wallet_hooks.ledger.models import Period, Transaction
from wallet_hooks.ledger.sealing import newest_seal

FORMATS = (*WRITERS, *DIALECTS, *LEDGERS)
_BOM = b"\xef\xbb\xbf"
RowProgress = Callable[[int], None]


class Options(NamedTuple):
    """Options of formats: `bom` for CSV; account codes for general ledgers, and which `part` of several files."""

    bom: bool = False
    codes: AccountCodes = DEFAULT_CODES
    part: int | None = None


DEFAULT_OPTIONS = Options()


def newest_day(engine: Engine, now: datetime) -> date:
    """Return the newest day of a report: the latest of every brand's accounting day and the UTC day."""
    with reading(engine) as session:
        return max([now.date(), *(brand_facts(brand).booking_day(now) for brand in own_brands(session))])


def check(report: str, format_: str, request: ReportRequest, options: Options = DEFAULT_OPTIONS) -> None:
    """Raise RefusedError unless the report exists in the format and takes these parameters and options."""
    found = report_named(report)
    if format_ not in FORMATS:
        raise RefusedError("unknown_format", f"format: {format_!r} is unknown; accepted are {', '.join(FORMATS)}")
    if format_ not in WRITERS and report != "journal":
        raise RefusedError("unknown_format", f"format: {format_} is for the report journal only")
    check_period(request.first, request.last)
    if found.needs_customer != (request.customer is not None):
        raise RefusedError("customer", "brand and uid: required for a statement, not accepted for other reports")
    for option, is_given, is_accepted in (
        ("bom", options.bom, format_ == "csv"),
        ("currency", request.currency is not None, format_ in LEDGERS),
        ("part", options.part is not None, format_ in LEDGERS),
        ("limit", request.page is not None, report == "statement"),
    ):
        if is_given and not is_accepted:
            raise RefusedError("bad_option", f"{option}: not accepted for {report} as {format_}")
    if request.currency is not None and not money.is_currency(request.currency):
        raise RefusedError("bad_option", f"currency: {request.currency!r} is unknown")


def write(
    engine: Engine,
    report: str,
    format_: str,
    request: ReportRequest,
    out: BinaryIO,
    options: Options = DEFAULT_OPTIONS,
    progress: RowProgress = lambda rows: None,
) -> dict[str, Any]:
    """Write a report from one database snapshot. Return its manifest, without the file's name and hash.

    `progress` is called with the number of rows of each batch. If a general ledger's journal takes several files,
    `options.part` must select one. Raises RefusedError, and NotFoundError for an unknown customer.
    """
    check(report, format_, request, options)
    found = report_named(report)
    with reading(engine) as session:
        if format_ in LEDGERS:
            files = files_of(format_, daily_lines(session, request, options.codes))
            if options.part is None and len(files) > 1:
                raise RefusedError(
                    "several_files", f"{format_} takes {len(files)} files for this period: select one with part"
                )
            if not 1 <= (options.part or 1) <= len(files):
                raise RefusedError("bad_option", f"part: {options.part}; there are {len(files)}")
            lines = files[(options.part or 1) - 1]
            out.write(LEDGERS[format_](lines, request, options.codes))
            parts = {"part": options.part or 1, "parts": len(files)}
            return _manifest(session, report, format_, request, _totals_of(lines)) | parts
        totals = RunningTotals(found.columns, found.credit_positive, progress)
        batches = totals.add(found.batches(session, request))
        if format_ in DIALECTS:
            write_journal(format_, session, request, batches, out)
        elif options.bom:
            out.write(_BOM)
            write_csv(found.columns, batches, out)
        else:
            WRITERS[format_](found.columns, batches, out)
        return _manifest(session, report, format_, request, totals)


def write_file(
    engine: Engine,
    report: str,
    format_: str,
    request: ReportRequest,
    path: Path,
    options: Options = DEFAULT_OPTIONS,
    progress: RowProgress = lambda rows: None,
) -> dict[str, Any]:
    """Write a report to a file and its manifest to `<file>.manifest.json`. Return the manifest.

    A general ledger's journal that is too long for one file continues in `<file>-2` and so on, before the suffix. A
    path that is not a regular file, such as a pipe, has no hash, no manifest beside it and no further files: it cannot
    be read again, and its directory is often not ours. Raises RefusedError, and NotFoundError for an unknown customer.
    """
    check(report, format_, request, options)
    if format_ in LEDGERS and options.part is None and is_regular(path):
        return _write_ledger_files(engine, format_, request, path, options)
    with replace_atomically(path) as out:
        manifest = {"file": path.name, **write(engine, report, format_, request, out, options, progress)}
    if not is_regular(path):
        return manifest
    manifest["sha256"] = _hash(path)
    # An export of all parts replaces only files that the manifest lists.
    if options.part is not None and (further := _further_files(path)):
        manifest["files"] = _file_list({path.name: manifest["sha256"], **further})
    return _write_manifest(path, manifest)


def _write_ledger_files(
    engine: Engine, format_: str, request: ReportRequest, path: Path, options: Options
) -> dict[str, Any]:
    """Write all files of a general ledger's journal.

    Files of an earlier export to this path are replaced, or deleted if not needed any more. Raises RefusedError
    (`file_exists`) instead of replacing any other file.
    """
    with reading(engine) as session:
        files = files_of(format_, daily_lines(session, request, options.codes))
        contents = [LEDGERS[format_](lines, request, options.codes) for lines in files]
        manifest = _manifest(
            session, "journal", format_, request, _totals_of([line for lines in files for line in lines])
        )
    paths = [path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, len(contents) + 1))]
    before = _further_files(path).keys()
    for one in paths[1:]:
        if one.exists() and one.name not in before:
            raise RefusedError("file_exists", f"{one} exists and was not written by an earlier export")
    for one, content in zip(paths, contents, strict=True):
        with replace_atomically(one) as out:
            out.write(content)
    for name in before - {one.name for one in paths}:
        path.with_name(name).unlink(missing_ok=True)
    manifest = {"file": path.name, **manifest, "sha256": _hash(path)}
    if len(paths) > 1:
        manifest["files"] = _file_list({one.name: _hash(one) for one in paths})
    return _write_manifest(path, manifest)


def _further_files(path: Path) -> dict[str, str]:
    """Return the further files that the manifest of an earlier export lists, with their hashes.

    Only files that are named as this module names them are returned.
    """
    try:
        files = json.loads(manifest_of(path).read_text(encoding="utf-8"))["files"]
        hashes = {str(one["file"]): str(one["sha256"]) for one in files}
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    pattern = re.compile(rf"{re.escape(path.stem)}-\d+{re.escape(path.suffix)}")
    return {name: hash_ for name, hash_ in hashes.items() if pattern.fullmatch(name)}


def _file_list(hashes: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"file": name, "sha256": hash_} for name, hash_ in hashes.items()]


def write_dataset(
    engine: Engine, report: str, request: ReportRequest, directory: Path, progress: RowProgress = lambda rows: None
) -> dict[str, Any]:
    """Write a report as Hive-partitioned Parquet, one directory a day (`booked_on=2026-11-20/part-0.parquet`).

    DuckDB and Spark read it as one table with the day as a column. The directory must be new or empty, and appears
    complete or not at all. Raises RefusedError.
    """
    check(report, "parquet", request)
    found = report_named(report)
    day = next((name for name, kind in found.columns.items() if kind == "day"), None)
    if day is None:
        raise RefusedError("bad_option", f"partition-by: {report} has no days to partition by")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RefusedError("not_empty", f"{directory} is not empty; a new or empty directory is required")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as scratch:
        dataset = Path(scratch) / "dataset"
        dataset.mkdir()
        manifest = _write_partitions(engine, report, request, dataset, day, progress)
        if directory.exists():
            directory.rmdir()
        dataset.rename(directory)
    return _write_manifest(directory, {"file": directory.name, **manifest})


def _write_partitions(
    engine: Engine, report: str, request: ReportRequest, directory: Path, day: str, progress: RowProgress
) -> dict[str, Any]:
    found = report_named(report)
    columns = {name: kind for name, kind in found.columns.items() if name != day}
    totals = RunningTotals(found.columns, found.credit_positive, progress)
    files = []
    with reading(engine) as session:
        for value, batches in _by_day(totals.add(found.batches(session, request)), day):
            path = directory / f"{day}={value.isoformat()}" / "part-0.parquet"
            path.parent.mkdir()
            with path.open("wb") as out:
                write_parquet(columns, (batch.select(list(columns)) for batch in batches), out)
            files.append({"file": str(path.relative_to(directory)), "sha256": _hash(path)})
        return _manifest(session, report, "parquet", request, totals) | {"files": files}


def _by_day(batches: Iterable[pa.RecordBatch], day: str) -> Iterator[tuple[date, Iterator[pa.RecordBatch]]]:
    """Group batches by day. The report's rows must be in the order of days."""
    pieces = (
        (value, batch.filter(pc.equal(batch.column(day), value)))
        for batch in batches
        for value in pc.unique(batch.column(day)).to_pylist()
    )
    for value, of_day in groupby(pieces, key=itemgetter(0)):
        yield value, (piece for _, piece in of_day)


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


def _totals_of(lines: list[general_ledger.DailyLine]) -> RunningTotals:
    totals = RunningTotals(general_ledger.COLUMNS)
    for _ in totals.add(in_batches(general_ledger.COLUMNS, general_ledger.as_rows(lines))):
        pass
    return totals


def _manifest(
    session: Session, report: str, format_: str, request: ReportRequest, totals: RunningTotals
) -> dict[str, Any]:
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
        "ledger": _position(session, request.last),
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


def _position(session: Session, last: date) -> dict[str, Any]:
    """Return the ledger's position: its last transaction and its newest seal, so that a copy outside keeps the hash."""
    seal = newest_seal(session)
    return {
        "last_transaction": session.scalar(select(func.max(Transaction.id))),
        "period_is_closed": bool(session.scalar(select(func.max(Period.day) >= last))),
        "newest_seal": None if seal is None else {"day": seal.day.isoformat(), "hash": seal.hash},
    }


def manifest_of(path: Path) -> Path:
    """Return the path of an export's manifest."""
    return path.with_name(f"{path.name}.manifest.json")


def _hash(path: Path) -> str:
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _write_manifest(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    with replace_atomically(manifest_of(path)) as out:
        out.write((json.dumps(manifest, indent=2) + "\n").encode())
    return manifest
