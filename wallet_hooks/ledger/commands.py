"""The commands `wallet-hooks rate` and `wallet-hooks rates`."""

import json
from typing import BinaryIO

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.database import reading, run_with_retries, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger import rates as stored_rates
from wallet_hooks.ledger.rate_files import read_rate_file
from wallet_hooks.ledger.rates import PIVOT, are_stale, import_reference_rates, newest_reference_rates
from wallet_hooks.options import JSON
from wallet_hooks.settings import Settings


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
    if source == target:
        raise RefusedError("rate", "expected two different currencies, such as GBP EUR 1.17")
    with writing(engine) as session:
        stored_rates.set_rate(session, source=source, target=target, rate=money.parse_rate(rate_), now=clock.now())
    click.echo(f"1 {source} = {rate_} {target}")


@click.group()
def rates() -> None:
    """Import and show reference rates, which convert bets where no rate was set for a pair."""


@rates.command("import")
@click.argument("file", type=click.File("rb"))
@click.pass_obj
def import_rates(engine: Engine, file: BinaryIO) -> None:
    """Import the European Central Bank's XML file, or a CSV file with the columns date,currency,rate.

    A rate is one euro in units of the currency. All rates of the file are stored, or none; dates are kept.
    """
    read = read_rate_file(file.read(), today=clock.now().date())

    def store() -> int:
        with writing(engine) as session:
            return import_reference_rates(session, read)

    count = run_with_retries(store)
    click.echo(f"{count} rates imported, newest of {max(one.day for one in read)}")


@rates.command()
@JSON
@click.pass_obj
def show(engine: Engine, as_json: bool) -> None:
    """Show the reference rates of the newest imported day, and whether they are stale."""
    with reading(engine) as session:
        newest = newest_reference_rates(session)
    today, max_age = clock.now().date(), Settings.from_env().rates_max_age_days
    day = newest[0].day if newest else None
    is_stale = day is not None and are_stale(day, today=today, max_age_days=max_age)
    if as_json:
        by_currency = {one.currency: one.rate for one in newest}
        shown = {"date": day and day.isoformat(), "stale": is_stale, "base": PIVOT, "rates": by_currency}
        click.echo(json.dumps(shown))
    elif day is None:
        click.echo("no rates imported")
    else:
        click.echo(f"{day}{f'  STALE: older than {max_age} days' if is_stale else ''}")
        for one in newest:
            click.echo(f"1 {PIVOT} = {one.rate} {one.currency}")
