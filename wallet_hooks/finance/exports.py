"""Exports: a report in a format, with a manifest that proves what it is."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
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
from wallet_hooks.errors import RefusedError
from wallet_hooks.files import replace_atomically
from wallet_hooks.finance import general_ledger
from wallet_hooks.finance.asked import Asked, check_period
from wallet_hooks.finance.batches import Columns, currencies_of, in_batches, sum_of
from wallet_hooks.finance.general_ledger import DEFAULT_CODES, LEDGERS, AccountCodes, daily_lines, files_of
from wallet_hooks.finance.journals import DIALECTS, write_journal
from wallet_hooks.finance.reports import report_named
from wallet_hooks.finance.tables import WRITERS, write_csv, write_parquet
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger.models import Period, Transaction
from wallet_hooks.ledger.sealing import newest_seal

FORMATS = (*WRITERS, *DIALECTS, *LEDGERS)
_BOM = b"\xef\xbb\xbf"
Progress = Callable[[int], None]


class Options(NamedTuple):
    """How a format is written: CSV with a byte order mark; the general ledger's accounts, and which of its files."""

    bom: bool = False
    codes: AccountCodes = DEFAULT_CODES
    part: int | None = None


PLAIN = Options()


def newest_day(engine: Engine, now: datetime) -> date:
    """Return the newest day that a report can have something of: of any brand, or of UTC where that is later."""
    with reading(engine) as session:
        return max([now.date(), *(brand_facts(brand).booking_day(now) for brand in session.scalars(select(Brand)))])


def check(report: str, format_: str, asked: Asked, options: Options = PLAIN) -> None:
    """Raises RefusedError for what cannot be exported."""
    found = report_named(report)
    if format_ not in FORMATS:
        raise RefusedError("unknown_format", f"a format is one of {', '.join(FORMATS)}")
    if format_ not in WRITERS and report != "journal":
        raise RefusedError("unknown_format", f"{format_} is a format of the report journal alone")
    check_period(asked.first, asked.last)
    if found.needs_customer != (asked.customer is not None):
        raise RefusedError("customer", "a statement, and nothing else, is of one customer: its brand and uid")
    for what, is_asked, fits in (
        ("a byte order mark", options.bom, format_ == "csv"),
        ("a currency", asked.currency is not None, format_ in LEDGERS),
        ("a part", options.part is not None, format_ in LEDGERS),
        ("a page", asked.page is not None, report == "statement"),
    ):
        if is_asked and not fits:
            raise RefusedError("bad_option", f"{report} as {format_} has no choice of {what}")
    if asked.currency is not None and not money.is_currency(asked.currency):
        raise RefusedError("bad_option", f"unknown currency {asked.currency!r}")


def write(
    engine: Engine,
    report: str,
    format_: str,
    asked: Asked,
    out: BinaryIO,
    options: Options = PLAIN,
    progress: Progress = lambda rows: None,
) -> dict[str, Any]:
    """Write a report as it is at this moment. Returns what the manifest says of it, without the file's hash.

    `progress` is called with a number of rows. A general ledger's journal of several files needs to say which (`part`).
    """
    check(report, format_, asked, options)
    found = report_named(report)
    with reading(engine) as session:
        if format_ in LEDGERS:
            files = files_of(format_, daily_lines(session, asked, options.codes))
            if options.part is None and len(files) > 1:
                raise RefusedError("several_files", f"{format_} takes {len(files)} files for this: ask for a part")
            if not 1 <= (options.part or 1) <= len(files):
                raise RefusedError("bad_option", f"there is no part {options.part}: {len(files)} in all")
            lines = files[(options.part or 1) - 1]
            out.write(LEDGERS[format_](lines, asked, options.codes))
            parts = {"part": options.part or 1, "parts": len(files)}
            return _manifest(session, report, format_, asked, _counted(lines)) | parts
        counted = Counted(found.columns, found.credit_positive, progress)
        batches = counted.of(found.batches(session, asked))
        if format_ in DIALECTS:
            write_journal(format_, session, asked, batches, out)
        elif options.bom:
            out.write(_BOM)
            write_csv(found.columns, batches, out)
        else:
            WRITERS[format_](found.columns, batches, out)
        return _manifest(session, report, format_, asked, counted)


def write_file(
    engine: Engine,
    report: str,
    format_: str,
    asked: Asked,
    path: Path,
    options: Options = PLAIN,
    progress: Progress = lambda rows: None,
) -> dict[str, Any]:
    """Write a report to a file, and its manifest beside it (`<file>.manifest.json`), which is returned.

    Where a general ledger takes no more lines in a file, the others are beside it (`<file>-2`, before the suffix).
    """
    check(report, format_, asked, options)
    if format_ in LEDGERS and options.part is None:
        return _write_ledger_files(engine, format_, asked, path, options)
    with replace_atomically(path) as out:
        manifest = write(engine, report, format_, asked, out, options, progress)
    return _write_manifest(path, {"file": path.name, **manifest, "sha256": _hash(path)})


def _write_ledger_files(engine: Engine, format_: str, asked: Asked, path: Path, options: Options) -> dict[str, Any]:
    """Files that an earlier export of the same name wrote are replaced, or go; others are left alone, and refused."""
    with reading(engine) as session:
        files = files_of(format_, daily_lines(session, asked, options.codes))
        contents = [LEDGERS[format_](lines, asked, options.codes) for lines in files]
        manifest = _manifest(session, "journal", format_, asked, _counted([line for lines in files for line in lines]))
    paths = [path, *(path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, len(contents) + 1))]
    before = _files_of_manifest(path)
    for one in paths[1:]:
        if one.exists() and one.name not in before:
            raise RefusedError("file_exists", f"{one} is there, and not of an earlier export")
    for one, content in zip(paths, contents, strict=True):
        with replace_atomically(one) as out:
            out.write(content)
    for name in before - {one.name for one in paths}:
        path.with_name(name).unlink(missing_ok=True)
    manifest = {"file": path.name, **manifest, "sha256": _hash(path)}
    if len(paths) > 1:
        manifest["files"] = [{"file": one.name, "sha256": _hash(one)} for one in paths]
    return _write_manifest(path, manifest)


def _files_of_manifest(path: Path) -> set[str]:
    """The names that the manifest beside a file gives to the files of its export, as this module makes them."""
    try:
        files = json.loads(path.with_name(f"{path.name}.manifest.json").read_text(encoding="utf-8"))["files"]
        names = {str(one["file"]) for one in files}
    except (OSError, ValueError, LookupError, TypeError):
        return set()
    return {name for name in names if re.fullmatch(rf"{re.escape(path.stem)}-\d+{re.escape(path.suffix)}", name)}


def write_dataset(
    engine: Engine, report: str, asked: Asked, directory: Path, progress: Progress = lambda rows: None
) -> dict[str, Any]:
    """Write a report as Parquet, a directory a day (`booked_on=2026-11-20/part-0.parquet`), as Hive has it.

    DuckDB and Spark read it as one table, in which the day is a column. The directory must be new or empty.
    """
    check(report, "parquet", asked)
    found = report_named(report)
    day = next((name for name, kind in found.columns.items() if kind == "day"), None)
    if day is None:
        raise RefusedError("bad_option", f"{report} has no days to be partitioned by")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RefusedError("not_empty", f"{directory} is not empty: the data would be mixed with what is there")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}.", dir=directory.parent) as beside:
        made = Path(beside) / "dataset"
        made.mkdir()
        manifest = _write_partitions(engine, report, asked, made, day, progress)
        if directory.exists():
            directory.rmdir()
        made.rename(directory)
    return _write_manifest(directory, {"file": directory.name, **manifest})


def _write_partitions(
    engine: Engine, report: str, asked: Asked, directory: Path, day: str, progress: Progress
) -> dict[str, Any]:
    found = report_named(report)
    columns = {name: kind for name, kind in found.columns.items() if name != day}
    counted = Counted(found.columns, found.credit_positive, progress)
    files = []
    with reading(engine) as session:
        for value, batches in _by_day(counted.of(found.batches(session, asked)), day):
            path = directory / f"{day}={value.isoformat()}" / "part-0.parquet"
            path.parent.mkdir()
            with path.open("wb") as out:
                write_parquet(columns, (batch.select(list(columns)) for batch in batches), out)
            files.append({"file": str(path.relative_to(directory)), "sha256": _hash(path)})
        return _manifest(session, report, "parquet", asked, counted) | {"files": files}


def _by_day(batches: Iterable[pa.RecordBatch], day: str) -> Iterator[tuple[date, Iterator[pa.RecordBatch]]]:
    """The batches by day; a report has its rows in the order of its days."""
    pieces = (
        (value, batch.filter(pc.equal(batch.column(day), value)))
        for batch in batches
        for value in pc.unique(batch.column(day)).to_pylist()
    )
    for value, of_day in groupby(pieces, key=itemgetter(0)):
        yield value, (piece for _, piece in of_day)


@dataclass(slots=True)
class Counted:
    """Batches on their way out, counted and summed: totals by currency and column, in minor units."""

    columns: Columns
    credit_positive: bool = False
    progress: Progress = lambda rows: None
    rows: int = 0
    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)

    def of(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, counted as they pass. Running balances sum to nothing of interest."""
        summed = [name for name, kind in self.columns.items() if kind == "amount" and name not in _RUNNING]
        for batch in batches:
            self.rows += batch.num_rows
            for currency in currencies_of(batch) if summed else ():
                of_currency = batch.filter(pc.equal(batch.column("currency"), currency))
                for name in summed:
                    self._add(currency, name, of_currency.column(name))
            self.last = batch.slice(batch.num_rows - 1).to_pylist()[0]
            self.progress(batch.num_rows)
            yield batch

    def _add(self, currency: str, name: str, amounts: pa.Array) -> None:
        """An entry's amount is a debit or a credit."""
        sums = self.totals.setdefault(currency, {})
        total = sum_of(amounts)
        if name == "amount":
            above, name = ("credit", "debit") if self.credit_positive else ("debit", "credit")
            positive = sum_of(amounts.filter(pc.greater(amounts, 0)))
            sums[above] = sums.get(above, 0) + positive
            total = positive - total
        sums[name] = sums.get(name, 0) + total


_RUNNING = ("balance", "balance_after")


def _counted(lines: list[general_ledger.DailyLine]) -> Counted:
    counted = Counted(general_ledger.COLUMNS)
    for _ in counted.of(in_batches(general_ledger.COLUMNS, general_ledger.as_rows(lines))):
        pass
    return counted


def _manifest(session: Session, report: str, format_: str, asked: Asked, counted: Counted) -> dict[str, Any]:
    filters = dict(zip(("brand", "uid"), asked.customer or (), strict=False))
    if asked.currency is not None:
        filters["currency"] = asked.currency
    manifest = {
        "report": report,
        "format": format_,
        "period": {"from": asked.first.isoformat(), "to": asked.last.isoformat()},
        "filters": filters,
        "rows": counted.rows,
        "totals": {
            currency: {name: money.format_amount(minor, currency) for name, minor in sorted(sums.items())}
            for currency, sums in sorted(counted.totals.items())
        },
        "ledger": _position(session, asked.last),
    }
    if asked.page is not None:
        manifest["page"] = asked.page._asdict()
        manifest["next"] = _next_page(counted.last)
    return manifest


def _next_page(last: dict[str, Any]) -> dict[str, Any] | None:
    """What to ask for after this page; None where the statement is at its end."""
    if last["kind"] == "closing":
        return None
    return {"item": last["item"], "balance": money.format_amount(int(last["balance"]), last["currency"])}


def _position(session: Session, last: date) -> dict[str, Any]:
    """Where the ledger stood: its last transaction, and the newest seal, which anchors the chain outside."""
    seal = newest_seal(session)
    return {
        "last_transaction": session.scalar(select(func.max(Transaction.id))),
        "period_is_closed": bool(session.scalar(select(func.max(Period.day) >= last))),
        "newest_seal": None if seal is None else {"day": seal.day.isoformat(), "hash": seal.hash},
    }


def _hash(path: Path) -> str:
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _write_manifest(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    with replace_atomically(path.with_name(f"{path.name}.manifest.json")) as out:
        out.write((json.dumps(manifest, indent=2) + "\n").encode())
    return manifest
