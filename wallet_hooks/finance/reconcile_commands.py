"""`wallet-hooks reconcile`."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import has_brand_schemas, reading, writing
from wallet_hooks.database.brand_commands import BrandFailures
from wallet_hooks.database.brands import brand_ids, engine_of_client
from wallet_hooks.files import replace_atomically
from wallet_hooks.finance.batches import in_batches
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
from wallet_hooks.finance.reporting import (
    brands_with_engines,
    file_of_brand,
    progress_bar,
    reporting_engine,
    with_progress,
)
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.options import JSON

_BREAK_FORMATS = ("csv", "xlsx", "html")


@click.command()
@click.option("--game", "--provider", "game", required=True, help="The game of the provider, such as betflex.")
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
        brands = brands_with_engines(engine, brand)
        for client, own in brands:
            if client is not None and named and client not in named:
                click.echo(f"brand {client}: not in the report, not matched", err=True)
                continue
            if len(brands) > 1:
                click.echo(f"brand {client}", err=True)
            path = None if output is None else file_of_brand(output, client if len(brands) > 1 else None)
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
