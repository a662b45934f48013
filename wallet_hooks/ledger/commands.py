"""The command `wallet-hooks rate`."""

import re

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger import service


@click.group()
def rate() -> None:
    """Set exchange rates for bets in another currency than the customer's."""


@rate.command("set")
@click.argument("source")
@click.argument("target")
@click.argument("rate_", metavar="RATE")
@click.pass_obj
def set_rate(engine: Engine, source: str, target: str, rate_: str) -> None:
    """Set a rate from now on: one unit of SOURCE is worth RATE units of TARGET (`rate set GBP EUR 1.17`)."""
    for currency in (source, target):
        money.check_offered(currency)
    if source == target or not re.fullmatch(r"[\d.]+", rate_):
        raise RefusedError("rate", "expected two different currencies and a positive decimal, such as GBP EUR 1.17")
    with writing(engine) as session:
        service.set_rate(session, source=source, target=target, rate=money.parse_rate(rate_), now=clock.now())
    click.echo(f"1 {source} = {rate_} {target}")
