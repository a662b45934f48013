"""`wallet-hooks verify`, `close`, `reopen` and `export`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import open_engine, reading
from wallet_hooks.finance.closing import check_seals
from wallet_hooks.finance.closing import close as close_days
from wallet_hooks.finance.closing import reopen as reopen_days
from wallet_hooks.finance.exports import FORMATS, write, write_file
from wallet_hooks.finance.reports import REPORTS, Asked
from wallet_hooks.finance.usage import check_usage
from wallet_hooks.ledger.verify import CHECKS, Difference
from wallet_hooks.settings import Settings

_CHECKS = (*CHECKS, check_seals, check_usage)


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def verify(engine: Engine, as_json: bool) -> None:
    """Prove the ledger's rules over all of its history. Exit 1, and the first rows that differ, where one is broken."""
    differences: list[Difference] = []
    terminal = sys.stderr
    with (
        reading(engine) as session,
        click.progressbar(length=len(_CHECKS), label="verify", file=terminal, hidden=not terminal.isatty()) as progress,
    ):
        for check in _CHECKS:
            differences += check(session)
            progress.update(1)
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in differences]))
    else:
        for difference in differences:
            click.echo(f"{difference.rule}: {difference.where}: {difference.what}")
        click.echo("the ledger is broken" if differences else f"{len(_CHECKS)} rules hold")
    if differences:
        raise SystemExit(1)


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@click.pass_obj
def close(engine: Engine, day: datetime) -> None:
    """Close the books through DATE: check the ledger, seal each day, lock it. Late events go to the first open day."""
    told = sys.stderr.isatty()
    sealed = close_days(
        engine, day.date(), now=clock.now(), progress=lambda text: click.echo(text, err=True) if told else None
    )
    for one in sealed:
        click.echo(f"{one.day} closed: {one.transactions} transactions, {one.entries} entries, seal {one.hash}")


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--reason", required=True, help="Kept with the seals that it breaks.")
@click.option("--by", default="operator", show_default=True, help="Who reopens.")
@click.pass_obj
def reopen(engine: Engine, day: datetime, reason: str, by: str) -> None:
    """Open DATE and every day closed after it. Their seals stay as a trace; close them again when it is put right."""
    count = reopen_days(engine, day.date(), reason=reason, by=by, now=clock.now())
    click.echo(f"{count} days open again")


@click.command()
@click.argument("report", type=click.Choice(list(REPORTS)))
@click.option("--format", "format_", type=click.Choice(FORMATS), default="csv", show_default=True)
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), default="2000-01-01", show_default=True)
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Default: today (UTC). Both days are in it.")
@click.option("--brand", "client", help="Of a statement: the customer's brand.")
@click.option("--uid", help="Of a statement: the customer's id at the operator.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Default: stdout.")
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
) -> None:
    """Export a report; with -o FILE, a manifest is written beside it (FILE.manifest.json)."""
    now = clock.now()
    if (client is None) != (uid is None):
        raise click.UsageError("--brand and --uid go together")
    customer = None if client is None or uid is None else (client, uid)
    asked = Asked(first.date(), (last or now).date(), customer, now)
    with reporting_engine(engine) as reports:
        if output is None:
            write(reports, report, format_, asked, sys.stdout.buffer)
            return
        manifest = write_file(reports, report, format_, asked, output)
    click.echo(f"{manifest['rows']} rows written to {output}", err=True)


@contextmanager
def reporting_engine(engine: Engine) -> Iterator[Engine]:
    """The replica that the settings name, or else the database itself."""
    settings = Settings.from_env()
    if settings.reporting_database_url is None:
        yield engine
        return
    reports = open_engine(replace(settings, database_url=settings.reporting_database_url))
    yield reports
    reports.dispose()
