"""Exports: write a report in a format, with a manifest of its parameters, totals, hash and ledger position."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine

from wallet_hooks import money
from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.files import is_regular, replace_atomically
from wallet_hooks.finance.general_ledger import DEFAULT_CODES, LEDGERS, AccountCodes, daily_lines, files_of
from wallet_hooks.finance.journals import DIALECTS, write_journal
from wallet_hooks.finance.manifests import (
    RowProgress,
    RunningTotals,
    file_list,
    further_files,
    hash_of,
    make_manifest,
    totals_of,
    with_further_files,
    write_manifest,
)
from wallet_hooks.finance.pacing import at_a_pace
from wallet_hooks.finance.report_request import ReportRequest, check_period
from wallet_hooks.finance.reports import report_named
from wallet_hooks.finance.tables import WRITERS, write_csv, write_parquet
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.service import own_brands

FORMATS = (*WRITERS, *DIALECTS, *LEDGERS)
_BOM = b"\xef\xbb\xbf"


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
            return make_manifest(session, report, format_, request, totals_of(lines)) | parts
        totals = RunningTotals(found.columns, found.credit_positive, progress)
        batches = totals.add(at_a_pace(session, found.batches(session, request)))
        if format_ in DIALECTS:
            write_journal(format_, session, request, batches, out)
        elif options.bom:
            out.write(_BOM)
            write_csv(found.columns, batches, out)
        else:
            WRITERS[format_](found.columns, batches, out)
        return make_manifest(session, report, format_, request, totals)


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
    manifest["sha256"] = hash_of(path)
    return write_manifest(path, manifest if options.part is None else with_further_files(manifest, path))


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
        manifest = make_manifest(
            session, "journal", format_, request, totals_of([line for lines in files for line in lines])
        )
    paths = [path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, len(contents) + 1))]
    before = further_files(path, manifest).hashes.keys()
    for one in paths[1:]:
        if one.exists() and one.name not in before:
            raise RefusedError("file_exists", f"{one} exists and was not written by an earlier export")
    for one, content in zip(paths, contents, strict=True):
        with replace_atomically(one) as out:
            out.write(content)
    for name in before - {one.name for one in paths}:
        path.with_name(name).unlink(missing_ok=True)
    manifest = {"file": path.name, **manifest, "sha256": hash_of(path)}
    if len(paths) > 1:
        manifest["files"] = file_list({one.name: hash_of(one) for one in paths})
    return write_manifest(path, manifest)


def write_dataset(
    engine: Engine,
    report: str,
    request: ReportRequest,
    directory: Path,
    options: Options = DEFAULT_OPTIONS,
    progress: RowProgress = lambda rows: None,
) -> dict[str, Any]:
    """Write a report as Hive-partitioned Parquet, one directory a day (`booked_on=2026-11-20/part-0.parquet`).

    DuckDB and Spark read it as one table with the day as a column. The directory must be new or empty, and appears
    complete or not at all. Raises RefusedError.
    """
    check(report, "parquet", request, options)
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
    return write_manifest(directory, {"file": directory.name, **manifest})


def _write_partitions(
    engine: Engine, report: str, request: ReportRequest, directory: Path, day: str, progress: RowProgress
) -> dict[str, Any]:
    found = report_named(report)
    columns = {name: kind for name, kind in found.columns.items() if name != day}
    totals = RunningTotals(found.columns, found.credit_positive, progress)
    files: list[dict[str, str]] = []
    parts = Counter[date]()
    with reading(engine) as session:
        for value, batches in _by_day(totals.add(at_a_pace(session, found.batches(session, request))), day):
            path = directory / f"{day}={value.isoformat()}" / f"part-{parts[value]}.parquet"
            path.parent.mkdir(exist_ok=True)
            parts[value] += 1
            with path.open("wb") as out:
                write_parquet(columns, (batch.select(list(columns)) for batch in batches), out)
            files.append({"file": str(path.relative_to(directory)), "sha256": hash_of(path)})
        return make_manifest(session, report, "parquet", request, totals) | {"files": files}


def _by_day(batches: Iterable[pa.RecordBatch], day: str) -> Iterator[tuple[date, Iterator[pa.RecordBatch]]]:
    """Group batches by day. The rows are in the order of days, except where days were reopened: some may come again."""
    pieces = (
        (value, batch.filter(pc.equal(batch.column(day), value)))
        for batch in batches
        for value in pc.unique(batch.column(day)).to_pylist()
    )
    for value, of_day in groupby(pieces, key=itemgetter(0)):
        yield value, (piece for _, piece in of_day)
