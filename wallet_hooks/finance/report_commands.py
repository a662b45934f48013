"""`wallet-hooks export` and `reconcile`."""

import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import has_brand_schemas, open_engine, reading, writing
from wallet_hooks.database.brand_commands import BrandFailures
from wallet_hooks.database.brands import brand_ids, engine_of_client, engines_of_brands
from wallet_hooks.errors import RefusedError
from wallet_hooks.files import replace_atomically
from wallet_hooks.finance.batches import in_batches
from wallet_hooks.finance.exports import FORMATS, Options, newest_day, write, write_dataset, write_file
from wallet_hooks.finance.general_ledger import LEDGERS, AccountCodes, configured_codes, read_codes
from wallet_hooks.finance.pages import write_html
from wallet_hooks.finance.provider_report import BadReportError, lines_of, read_columns, read_report
from wallet_hooks.finance.reconciliation import (
    BREAK_COLUMNS,
    DEFAULT_TOLERANCE_MINUTES,
    MAX_TOLERANCE_MINUTES,
    Break,
    MatchScope,
)
from wallet_hooks.finance.reconciliation import reconcile as reconcile_report
from wallet_hooks.finance.reconciliation_runs import keep_first, store_run
from wallet_hooks.finance.report_request import FIRST_DAY, ReportRequest, customer_of
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.ledger import currencies
from wallet_hooks.options import JSON
from wallet_hooks.settings import Settings

T = TypeVar("T")
_NICENESS = 19
_BREAK_FORMATS = ("csv", "xlsx", "html")


@click.command()
@click.argument("report", type=click.Choice(list(REPORTS)))
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="csv",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    default=FIRST_DAY.isoformat(),
    show_default=True,
    help="First day.",
)
@click.option(
    "--to",
    "last",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Default: the newest day of any brand. Both days are included.",
)
@click.option("--brand", "client", help="A statement's brand; where each brand has a schema, any report's.")
@click.option("--uid", help="For a statement: the customer's id at the operator.")
@click.option("-o", "--output", type=click.Path(writable=True, path_type=Path), help="Default: stdout.")
@click.option("--bom", is_flag=True, help="CSV with a byte order mark, for old spreadsheets.")
@click.option(
    "--partition-by", type=click.Choice(["day"]), help="Parquet with one directory a day, for DuckDB and Spark."
)
@click.option("--accounts", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Account codes (JSON).")
@click.option("--currency", help="For xero, quickbooks, datev: export only this currency.")
@click.option("--part", type=click.IntRange(1), help="For a journal of several files: write only this one.")
@click.pass_obj
def export(
    engine: Engine,
    report: str,
    format_: str,
    first: datetime,
    last: datetime | None,
    client: str | None,
    uid: str | None,
    output: Path | None,
    bom: bool,
    partition_by: str | None,
    accounts: Path | None,
    currency: str | None,
    part: int | None,
) -> None:
    """Export a report; with -o FILE, a manifest is written beside it (FILE.manifest.json)."""
    now = clock.now()
    try:
        customer = customer_of(engine, client, uid)
    except RefusedError as error:
        raise click.UsageError(str(error)) from None
    if output is None and client is None and len(engines_of_brands(engine)) > 1:
        raise click.UsageError("--brand: each brand's report is a file of its own: name a brand, or a file with -o")
    options = Options(bom, _codes(accounts), part)
    if partition_by and (format_ != "parquet" or output is None):
        raise click.UsageError("--partition-by: requires --format parquet and -o DIRECTORY")
    if output is not None and output.is_dir() and not partition_by:
        raise click.UsageError(f"--output: {output} is a directory; a file is expected")
    failures = BrandFailures()
    with reporting_engine(engine) as reports, progress_bar("export", "rows") as progress:
        brands = _chosen(reports, client)
        if len(brands) > 1 and output is not None:
            _check_paths(output, [name for name, _ in brands if name is not None], format_)
        for name, own in brands:
            with failures.of(name if len(brands) > 1 else None):
                through = last.date() if last else newest_day(own, now)
                request = ReportRequest(first.date(), through, customer, now, currency=currency)
                if output is None:
                    write(own, report, format_, request, sys.stdout.buffer, options, progress)
                    continue
                path = _path_of(output, name if len(brands) > 1 else None)
                if partition_by:
                    manifest = write_dataset(own, report, request, path, progress)
                else:
                    manifest = write_file(own, report, format_, request, path, options, progress)
                click.echo(f"{manifest['rows']} rows written to {path}", err=True)
    failures.end()


def _check_paths(output: Path, clients: Sequence[str], format_: str) -> None:
    """Raise UsageError where brands cannot have files of their own beside each other."""
    if output.exists() and not output.is_file() and not output.is_dir():
        raise click.UsageError(
            f"--output: {output} is not a regular file, but each brand's report needs one: name a brand"
        )
    # A journal's further files are named `-2`, `-3`, as another brand may be.
    further = [name for name in clients if name.rpartition("-")[0] in clients and name.rpartition("-")[2].isdigit()]
    if further and format_ in LEDGERS:
        raise click.UsageError(
            f"--brand: files of {further[0]!r} would have the names of another brand's: name a brand"
        )


def _chosen(engine: Engine, client: str | None) -> list[tuple[str | None, Engine]]:
    """Return a brand with its engine; without a brand, all of them, as `engines_of_brands` does."""
    return engines_of_brands(engine) if client is None else [(client, engine_of_client(engine, client))]


def _path_of(output: Path, client: str | None) -> Path:
    """Return the file of a brand where each has its own: `entries.acme.csv` for `entries.csv`."""
    return output if client is None else output.with_name(f"{output.stem}.{client}{output.suffix}")


def _codes(accounts: Path | None) -> AccountCodes:
    return configured_codes(Settings.from_env()) if accounts is None else read_codes(accounts)


@contextmanager
def progress_bar(label: str, what: str) -> Iterator[Callable[[int], None]]:
    """Show a counter on stderr if it is a terminal. The total number is not known beforehand."""
    terminal = sys.stderr
    with click.progressbar(
        itertools.count(), label=label, item_show_func=lambda _: what, show_pos=True, file=terminal,
        hidden=not terminal.isatty(),
    ) as bar:  # fmt: skip
        yield bar.update


def with_progress(items: Iterable[T], progress: Callable[[int], None]) -> Iterator[T]:
    """Yield the items, and call `progress` after each thousand."""
    for number, item in enumerate(items, 1):
        if number % 1000 == 0:
            progress(1000)
        yield item


@contextmanager
def reporting_engine(engine: Engine) -> Iterator[Engine]:
    """Yield the engine for reports: the replica of the settings, or else the given database.

    Lowers the priority of the process, because the service often runs on the same machine.
    """
    lower_priority()
    settings = Settings.from_env()
    if settings.reporting_database_url is None:
        yield engine
        return
    reports = open_engine(settings, for_reports=True)
    currencies.register_on_first_use(reports)
    try:
        yield reports
    finally:
        reports.dispose()


def lower_priority() -> None:
    """Leave the processors to other processes that want them."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    # Where Linux groups processes by session, niceness counts only within one; a session has a niceness of its own.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_NICENESS))


@click.command()
@click.option("--provider", "game", required=True, help="The provider's game, such as betflex.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day of the report.")
@click.option(
    "--to", "last", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Last day of the report, included."
)
@click.option("--brand", help="Match only this brand; required for a report without a column brand.")
@click.option("--columns", type=click.File(encoding="utf-8"), help='JSON file of column names: {"bet": "Bet ID"}.')
@click.option(
    "--cut-off",
    "minutes",
    type=click.IntRange(0, MAX_TOLERANCE_MINUTES),
    default=DEFAULT_TOLERANCE_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="Bets this close to the period's edges may be in the provider's previous or next report.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write breaks to a .csv, .xlsx or .html file.",
)
@JSON
@click.pass_obj
def reconcile(
    engine: Engine,
    /,
    game: str,
    file: Path,
    first: datetime,
    last: datetime,
    brand: str | None,
    columns: Any,
    minutes: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Match a provider's report with our wagers, bet by bet. Exits with status 1 if there are breaks.

    The report has the columns brand, bet, currency, stake, and optionally payout and status. Each run is stored. If a
    line of the report cannot be read, nothing is stored and the status is 2.
    """
    mapping = _mapping(columns)
    if not file.is_file():
        raise click.UsageError(f"FILE: {file} is not a regular file, and the report is read twice")
    if output is not None and output.resolve() == file.resolve():
        raise click.UsageError("--output: it is the report's own file; another file is expected")
    if output is not None and output.suffix[1:] not in _BREAK_FORMATS:
        raise click.UsageError(f"--output: {output.name}; accepted suffixes are .{', .'.join(_BREAK_FORMATS)}")
    has_breaks = False
    failures = BrandFailures()
    with _bad_reports_exit_2():
        named = _named_brands(engine, file, mapping, brand)
        scope = MatchScope(game, first.date(), last.date(), timedelta(minutes=minutes), named)
        brands = _chosen(engine, brand)
        for client, own in brands:
            if client is not None and named and client not in named:
                click.echo(f"brand {client}: not in the report, not matched", err=True)
                continue
            if len(brands) > 1:
                click.echo(f"brand {client}", err=True)
            path = None if output is None else _path_of(output, client if len(brands) > 1 else None)
            with failures.of(client if len(brands) > 1 else None):
                has_breaks |= _reconcile(own, client, scope, file, mapping, brand, path, as_json)
    failures.end()
    if has_breaks:
        raise SystemExit(1)


def _named_brands(engine: Engine, file: Path, mapping: dict[str, str], brand: str | None) -> frozenset[str]:
    """Return the brands to match: that of the option, or else the lines' where each brand has a schema.

    There, the reconciliation of a schema reads only the lines of its own brand. Raises NotFoundError for the option,
    BadReportError for a line.
    """
    if brand is not None:
        with reading(engine) as session:
            brand_by_client(session, brand)
    if not has_brand_schemas(engine):
        return frozenset(() if brand is None else (brand,))
    named = {line.brand for line in lines_of(read_report(file, mapping, brand=brand), brand_ids(engine))}
    return frozenset(named if brand is None else (brand,))


def _reconcile(
    engine: Engine,
    client: str | None,
    scope: MatchScope,
    file: Path,
    mapping: dict[str, str],
    brand: str | None,
    output: Path | None,
    as_json: bool,
) -> bool:
    """Match the lines of a report, or those of a brand (`client`), with our wagers; return whether there are breaks."""
    counted: Counter[str] = Counter()
    kept: list[Break] = []
    with (
        reporting_engine(engine) as reports,
        reading(reports if client is None else engine_of_client(reports, client)) as session,
        progress_bar("reconcile", "lines") as progress,
    ):
        lines = with_progress(read_report(file, mapping, brand=brand), progress)
        if client is not None:
            lines = (line for line in lines if line.brand == client)
        breaks = keep_first(reconcile_report(session, lines, scope, counted), kept)
        if output is not None:
            _write_breaks(breaks, output, f"{scope.game}: {file.name} from {scope.first} to {scope.last}")
        else:
            _echo_breaks(breaks, as_json=as_json)
    with writing(engine) as session, file.open("rb") as content:
        run = store_run(session, scope, file.name, content, counted, kept, now=clock.now())
        count = run.lines
    del counted["lines"]
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))
    click.echo(f"{count} lines: {kinds or 'no breaks'}", err=True)
    return bool(counted)


class _BadReport(click.ClickException):
    """Exits with status 2, so that scripts can distinguish a bad report from breaks (status 1)."""

    exit_code = 2


@contextmanager
def _bad_reports_exit_2() -> Iterator[None]:
    try:
        yield
    except BadReportError as error:
        raise _BadReport(str(error)) from None


def _mapping(columns: Any) -> dict[str, str]:
    try:
        return {} if columns is None else read_columns(columns.read())
    except ValueError as error:
        raise click.UsageError(f"--columns: {error}") from None


def _write_breaks(breaks: Iterator[Break], output: Path, title: str) -> None:
    with replace_atomically(output) as out:
        if output.suffix == ".html":
            write_html(title, BREAK_COLUMNS, breaks, out)
        else:
            WRITERS[output.suffix[1:]](BREAK_COLUMNS, in_batches(BREAK_COLUMNS, breaks), out)


def _echo_breaks(breaks: Iterator[Break], *, as_json: bool) -> None:
    for one in breaks:
        if as_json:
            click.echo(json.dumps(one._asdict()))
        else:
            where = f"line {one.line}" if one.line else "not in the report"
            brand, bet, theirs, ours = map(_printable, (one.brand, one.bet, one.theirs or "-", one.ours or "-"))
            click.echo(f"{one.kind:<14} {brand} {bet} ({where}): theirs {theirs}, ours {ours}")


def _printable(text: str) -> str:
    """Escape line breaks and terminal control characters."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
