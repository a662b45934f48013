"""`wallet-hooks export`."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database.brand_commands import BrandFailures
from wallet_hooks.database.brands import engines_of_brands
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.exports import FORMATS, Options, newest_day, write, write_dataset, write_file
from wallet_hooks.finance.general_ledger import LEDGERS, AccountCodes, configured_codes, read_codes
from wallet_hooks.finance.report_request import FIRST_DAY, ReportRequest, customer_of
from wallet_hooks.finance.reporting import brands_with_engines, file_of_brand, progress_bar, reporting_engine
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.settings import Settings


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
        brands = brands_with_engines(reports, client)
        if len(brands) > 1 and output is not None:
            _check_paths(output, [name for name, _ in brands if name is not None], format_)
        for name, own in brands:
            with failures.of(name if len(brands) > 1 else None):
                through = last.date() if last else newest_day(own, now)
                request = ReportRequest(first.date(), through, customer, now, currency=currency)
                if output is None:
                    write(own, report, format_, request, sys.stdout.buffer, options, progress)
                    continue
                path = file_of_brand(output, name if len(brands) > 1 else None)
                if partition_by:
                    manifest = write_dataset(own, report, request, path, options, progress)
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


def _codes(accounts: Path | None) -> AccountCodes:
    return configured_codes(Settings.from_env()) if accounts is None else read_codes(accounts)
