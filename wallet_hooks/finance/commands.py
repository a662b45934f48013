"""`wallet-hooks verify`, `close` and `reopen`."""

import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.database import has_brand_schemas, reading, writing
from wallet_hooks.database.brand_commands import BrandFailures, chosen_brands
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.anchors import check_against, read_manifest
from wallet_hooks.finance.closing import close as close_days
from wallet_hooks.finance.closing import reopen as reopen_days
from wallet_hooks.finance.models import Verification
from wallet_hooks.finance.verification import ALL_CHECKS, run_checks
from wallet_hooks.ledger.queries import newest_transaction_id
from wallet_hooks.ledger.service import are_transactions_posted
from wallet_hooks.ledger.verify import Difference, Since, since
from wallet_hooks.options import JSON, FieldType
from wallet_hooks.processors import lower_priority
from wallet_hooks.web.fields import NonBlankText, Reason

_one_brand = click.option("--brand", "client", help="Only this brand's books, where each brand has a schema.")


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
@_one_brand
@JSON
@click.pass_obj
def verify(
    engine: Engine, day: datetime | None, manifests: tuple[Path, ...], client: str | None, as_json: bool
) -> None:
    """Check the ledger's rules over all history. Exits with status 1 after printing the first differences, if any.

    Where each brand has a schema, each brand's ledger is checked by itself. While bets are taken it takes longer, and
    costs them less.
    """
    lower_priority()
    anchors = [read_manifest(path) for path in manifests]
    if anchors and client is None and has_brand_schemas(engine):
        raise click.UsageError("--against: an export is of one brand here: --brand is required")
    since_day = None if day is None else day.date()
    if client is not None and (
        others := {(anchor.get("filters") or {}).get("brand") for anchor in anchors} - {None, client}
    ):
        raise click.UsageError(f"--against: an export of brand {others.pop()!r}, not of {client!r}")
    with reading(engine) as session:
        gently = are_transactions_posted(session)
    differences: list[Difference] = []
    failures = BrandFailures()
    for brand, own in chosen_brands(engine, client):
        with failures.of(brand if client is None else None):
            may_be_open = client is None and has_brand_schemas(engine)
            found = _verify(own, since_day, anchors, may_be_open=may_be_open, gently=gently)
            with writing(own) as session:
                session.add(found.run)
            where = "" if brand is None else f"brand {brand}: "
            differences += [one._replace(where=f"{where}{one.where}") for one in found.differences]
    if differences or not failures.failed:  # of what was not checked nothing is known
        _echo(differences, len(anchors), as_json=as_json)
    failures.end()
    if differences:
        raise SystemExit(1)


def _echo(differences: Sequence[Difference], exports: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in differences]))
        return
    for difference in differences:
        click.echo(str(difference))
    known = f", and nothing is missing of {exports} exports" if exports else ""
    click.echo("the ledger is broken" if differences else f"{len(ALL_CHECKS)} rules hold{known}")


class _Verified(NamedTuple):
    differences: list[Difference]
    run: Verification


def _verify(
    engine: Engine, day: date | None, anchors: Sequence[dict[str, Any]], *, may_be_open: bool, gently: bool
) -> _Verified:
    """Check one ledger, on one snapshot; all of it if the day may be open and is. For `gently` see `run_checks`."""
    differences: list[Difference] = []
    terminal = sys.stderr
    with (
        reading(engine) as session,
        click.progressbar(
            length=len(ALL_CHECKS), label="verify", file=terminal, hidden=not terminal.isatty()
        ) as progress,
    ):
        posted = _since(session, day, may_be_open=may_be_open)
        last_id = newest_transaction_id(session)
        for found in run_checks(session, posted, gently=gently):
            differences += found
            progress.update(1)
        for anchor in anchors:
            differences += check_against(session, anchor)
    day = None if posted is None else day
    run = Verification(run_at=clock.now(), since=day, differences=len(differences), last_id=last_id)
    return _Verified(differences, run)


def _since(session: Session, day: date | None, *, may_be_open: bool) -> Since | None:
    if day is None:
        return None
    try:
        return since(session, day)
    except RefusedError as error:
        if not may_be_open or error.code != "not_closed":
            raise
        click.echo(f"{error}: all history is checked", err=True)
        return None


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@_one_brand
@click.pass_obj
def close(engine: Engine, day: datetime, client: str | None) -> None:
    """Close the books through DATE: check the ledger, seal each day, lock it.

    Events that arrive for a closed day are booked on the first open day. Where each brand has a schema, the books of
    each are closed by themselves; a brand whose books are closed already is left as it is.
    """
    shows_progress = sys.stderr.isatty()
    is_by_brand = client is None and has_brand_schemas(engine)
    failures = BrandFailures()
    for brand, own in chosen_brands(engine, client):
        with failures.of(brand if is_by_brand else None, tolerated="already_closed"):
            sealed = close_days(
                own,
                day.date(),
                now=clock.now(),
                progress=lambda text: click.echo(text, err=True) if shows_progress else None,
            )
            of_brand = f" of {brand}" if is_by_brand else ""
            for one in sealed:
                counts = f"{one.transactions} transactions, {one.entries} entries"
                click.echo(f"{one.day}{of_brand} closed: {counts}, seal {one.hash}")
    failures.end()


@click.command()
@click.argument("day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]))
@click.option("--reason", type=FieldType(Reason()), required=True, help="Stored with the reopened seals.")
@click.option(
    "--by", type=FieldType(NonBlankText(max_length=100)), default="operator", show_default=True, help="Who reopens."
)
@_one_brand
@click.pass_obj
def reopen(engine: Engine, day: datetime, reason: str, by: str, client: str | None) -> None:
    """Open DATE and every closed day after it. Their seals stay on record.

    What is posted afterwards is still booked on the day on which it is made.
    """
    is_by_brand = client is None and has_brand_schemas(engine)
    failures = BrandFailures()
    total = 0
    for brand, own in chosen_brands(engine, client):
        with failures.of(brand if is_by_brand else None, tolerated="not_closed"):
            count = reopen_days(own, day.date(), reason=reason, by=by, now=clock.now())
            total += count
            click.echo(f"opened again{f' of {brand}' if is_by_brand else ''}: {count} day{'s' if count > 1 else ''}")
    failures.end()
    if not total:
        raise RefusedError("not_closed", f"no brand has {day.date()} closed")
