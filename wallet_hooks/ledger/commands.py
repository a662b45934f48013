"""`wallet-hooks verify` and `wallet-hooks rate …`."""

import json
import re
import sys

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger import service
from wallet_hooks.ledger.verify import CHECKS, Difference


@click.command()
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def verify(engine: Engine, as_json: bool) -> None:
    """Prove the ledger's rules over all of its history. Exit 1, and the first rows that differ, where one is broken."""
    differences: list[Difference] = []
    terminal = sys.stderr
    with (
        reading(engine) as session,
        click.progressbar(length=len(CHECKS), label="verify", file=terminal, hidden=not terminal.isatty()) as progress,
    ):
        for check in CHECKS:
            differences += check(session)
            progress.update(1)
    if as_json:
        click.echo(json.dumps([difference._asdict() for difference in differences]))
    else:
        for difference in differences:
            click.echo(f"{difference.rule}: {difference.where}: {difference.what}")
        click.echo("the ledger is broken" if differences else f"{len(CHECKS)} rules hold")
    if differences:
        raise SystemExit(1)


@click.group()
def rate() -> None:
    """Exchange rates for bets in another currency than the customer's."""


@rate.command("set")
@click.argument("source")
@click.argument("target")
@click.argument("rate_", metavar="RATE")
@click.pass_obj
def set_rate(engine: Engine, source: str, target: str, rate_: str) -> None:
    """One unit of SOURCE is worth RATE units of TARGET from now on (`rate set GBP EUR 1.17`)."""
    for currency in (source, target):
        money.decimals(currency)
    if source == target or not re.fullmatch(r"[\d.]+", rate_):
        raise RefusedError("rate", "two currencies and a positive decimal are expected")
    with writing(engine) as session:
        service.set_rate(session, source=source, target=target, rate=money.parse_rate(rate_), now=clock.now())
    click.echo(f"1 {source} = {rate_} {target}")
