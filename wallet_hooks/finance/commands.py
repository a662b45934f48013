"""`wallet-hooks verify`, `close` and `reopen`."""

import json
import sys
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import Engine, func, select

from wallet_hooks import clock
from wallet_hooks.database import reading, writing
from wallet_hooks.finance.anchors import check_against, read_manifest
from wallet_hooks.finance.closing import close as close_days
from wallet_hooks.finance.closing import reopen as reopen_days
from wallet_hooks.finance.models import Verification
from wallet_hooks.finance.verification import ALL_CHECKS, run_checks
from wallet_hooks.ledger.models import Transaction
from wallet_hooks.ledger.verify import Difference, since


@click.command()
@click.option(
    "--since", "day", type=click.DateTime(["%Y-%m-%d"]), help="Check only what was posted after this closed day."
)
@click.option(
    "--against",
    "manifests",
    multiple=True,
    metavar="MANIFEST",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check also that nothing is missing which an export had: its FILE.manifest.json; repeatable.",
)
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def verify(engine: Engine, day: datetime | None, manifests: tuple[Path, ...], as_json: bool) -> None:
    """Check the ledger's rules over all history. Exits with status 1 after printing the first differences, if any."""
    anchors = [read_manifest(path) for path in manifests]
    differences: list[Difference] = []
    terminal = sys.stderr
    with (
        reading(engine) as session,
        click.progressbar(
            length=len(ALL_CHECKS), label="verify", file=terminal, hidden=not terminal.isatty()
        ) as progress,
    ):
        posted = None if day is None else since(session, day.date())
        last_id = session.scalar(select(func.max(Transaction.id)))
        for found in run_checks(session, posted):
            differences += found
            progress.update(1)
        for anchor in anchors:
            differences += check_against(session, anchor)
    with writing(engine) as session:
        since_day = None if day is None else day.date()
        run = Verification(run_at=clock.now(), since=since_day, differences=len(differences), last_id=last_id)
        session.add(run)
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in differences]))
    else:
        for difference in differences:
            click.echo(f"{difference.rule}: {difference.where}: {difference.what}")
        known = f", and nothing is missing of {len(anchors)} exports" if anchors else ""
        click.echo("the ledger is broken" if differences else f"{len(ALL_CHECKS)} rules hold{known}")
    if differences:
        raise SystemExit(1)


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@click.pass_obj
def close(engine: Engine, day: datetime) -> None:
    """Close the books through DATE: check the ledger, seal each day, lock it.

    Events that arrive for a closed day are booked on the first open day.
    """
    shows_progress = sys.stderr.isatty()
    sealed = close_days(
        engine,
        day.date(),
        now=clock.now(),
        progress=lambda text: click.echo(text, err=True) if shows_progress else None,
    )
    for one in sealed:
        click.echo(f"{one.day} closed: {one.transactions} transactions, {one.entries} entries, seal {one.hash}")


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--reason", required=True, help="Stored with the reopened seals.")
@click.option("--by", default="operator", show_default=True, help="Who reopens.")
@click.pass_obj
def reopen(engine: Engine, day: datetime, reason: str, by: str) -> None:
    """Open DATE and every closed day after it. Their seals stay on record; close the days again when corrected."""
    count = reopen_days(engine, day.date(), reason=reason, by=by, now=clock.now())
    click.echo(f"{count} days open again")
