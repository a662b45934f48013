"""`wallet-hooks wager …` and `wallet-hooks event …`."""

import csv
import json
from typing import Any, TextIO

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import BrandFailures, named_brands, pass_brand_engine
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.options import JSON, FieldType
from wallet_hooks.sportsbook import corrections, event_map, queries
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.web.fields import Reason, Text


@click.group()
def wager() -> None:
    """Wagers: their history and corrections."""


@wager.command()
@click.option("--brand", required=True, help="The brand's client name.")
@click.option("--game", required=True, help="The provider's game, such as betflex.")
@click.option("--uid", required=True, help="The bet's id at the provider.")
@JSON
@pass_brand_engine
def show(engine: Engine, brand: str, game: str, uid: str, as_json: bool) -> None:
    """Show a wager with its transactions, deliveries and exceptions."""
    with reading(engine) as session:
        found = queries.history(session, queries.wager_by_key(session, BetKey(game, brand, uid)))
    if as_json:
        click.echo(json.dumps(found))
        return
    lists = ("transactions", "deliveries", "exceptions")
    for key, value in found.items():
        if key not in lists and value is not None:
            click.echo(f"{key:<16} {value}")
    _echo_transactions(found["transactions"])
    for row in found["deliveries"]:
        click.echo(f"delivery {row['id']}  {row['received_at']}  {row['path']}  {row['status']} {row['answer']}")
    for row in found["exceptions"]:
        click.echo(f"exception {row['id']}  {row['kind']}  {'resolved' if row['resolved_at'] else 'open'}")


@wager.command()
@click.option("--brand", required=True, help="The brand's client name.")
@click.option("--game", required=True, help="The provider's game, such as betflex.")
@click.option("--uid", required=True, help="The bet's id at the provider.")
@click.option("--payout", required=True, help="Decimal amount in the bet's currency.")
@click.option(
    "--result", type=FieldType(Text(max_length=100)), help="The result; void with payout = stake returns the stake."
)
@click.option("--reason", type=FieldType(Reason()), required=True, help="Stored with the transactions.")
@pass_brand_engine
def resettle(engine: Engine, brand: str, game: str, uid: str, payout: str, result: str | None, reason: str) -> None:
    """Replace a wager's settlement."""
    key = BetKey(game, brand, uid)
    brands = read_directory(engine).brands
    with writing(engine) as session:
        found = queries.wager_by_key(session, key)
        corrections.check_settled(found, None)
        amount = money.parse_amount(payout, found.currency or "")
        before = corrections.resettle(
            session.connection(), key, payout=amount, result=result, reason=reason, brands=brands, read_clock=clock.now
        )
    already = " already: nothing was done" if before is None else ""
    click.echo(f"wager {key} settled with {payout}{already}")


def _echo_transactions(transactions: list[dict[str, Any]]) -> None:
    for transaction in transactions:
        click.echo(f"transaction {transaction['id']}  {transaction['booked_on']}  {transaction['reference']}")
        for entry in transaction["entries"]:
            click.echo(f"    {entry['account']:<44} {entry['amount']:>18} {entry['currency']}")


@click.group()
def event() -> None:
    """The events of coupons."""


@event.command("map")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.pass_obj
def map_events(engine: Engine, file: TextIO) -> None:
    """Map coupons to events from a CSV file: game,coupon,event. Limits per event add up their coupons."""
    rows = csv.reader(file)
    try:
        if next(rows, None) != ["game", "coupon", "event"]:
            raise click.UsageError("the first line must name the columns game,coupon,event")
        mapped = list(rows)
        count = 0
        failures = BrandFailures()
        for client, own in named_brands(engine):
            with failures.of(client), writing(own) as session:
                count = event_map.map_events(session, mapped)
    except (csv.Error, UnicodeError) as error:
        raise click.ClickException(f"line {rows.line_num}: {error}") from None
    click.echo(f"{count} coupons mapped")
    failures.end()
