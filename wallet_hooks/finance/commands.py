"""`wallet-hooks verify`."""

import json
import sys

import click
from sqlalchemy import Engine

from wallet_hooks.database import reading
from wallet_hooks.finance.usage import check_usage
from wallet_hooks.ledger.verify import CHECKS, Difference

_CHECKS = (*CHECKS, check_usage)


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
