"""`wallet-hooks bookie …`."""

import json
from typing import Any, TextIO

import click
from marshmallow import ValidationError
from sqlalchemy import Engine, select

from wallet_hooks import clock, money
from wallet_hooks.bookies import service
from wallet_hooks.bookies.adapters import ADAPTERS
from wallet_hooks.bookies.models import BookieAccount
from wallet_hooks.bookies.schemas import BookieCode, Tag
from wallet_hooks.bookies.simulator import Simulator
from wallet_hooks.customers.groups import customer_by_username, group_by_name
from wallet_hooks.customers.usernames import engine_of_customer
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import each_brand, engine_with_row, pass_brand_engine
from wallet_hooks.errors import NotFoundError
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, FieldType
from wallet_hooks.web.fields import Label, Text


@click.group()
def bookie() -> None:
    """Manage bookmakers, bookmaker accounts and the rules for who may use them."""


@bookie.command("add")
@click.option("--code", type=FieldType(BookieCode()), required=True, help="A unique code: a-z, 0-9, - and _.")
@click.option("--url", required=True, help="Base URL of the bookmaker's API.")
@click.option(
    "--adapter", type=click.Choice(sorted(ADAPTERS)), default="http-json", show_default=True, help="How it is queried."
)
@click.option("--secret", metavar="env:NAME|file:PATH", help="Reference to the API's Bearer token.")
@click.pass_obj
def add(engine: Engine, code: str, url: str, adapter: str, secret: str | None) -> None:
    """Add a bookmaker, or change its adapter, URL and secret."""
    with writing(engine) as session:
        service.set_bookie(session, code=code, adapter=adapter, url=url, secret=secret)
    click.echo(f"bookmaker {code}: {adapter} at {url}")


@bookie.command("account")
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--group", "group_name", required=True, help="The group that uses the account.")
@click.option("--bookie", "code", required=True, help="The bookmaker's code.")
@click.option("--username", type=FieldType(Label()), required=True, help="The login at the bookmaker.")
@click.option("--currency", required=True, help="ISO 4217 code.")
@click.option("--agent", type=FieldType(Text(max_length=100)), default="", help="The agent who provides the account.")
@click.option(
    "--stake-share", default="100", show_default=True, metavar="PERCENT", help="The group's share of each stake."
)
@click.option("--tag", "tags", type=FieldType(Tag()), multiple=True, help="Repeatable.")
@pass_brand_engine
def account(
    engine: Engine,
    client: str,
    group_name: str,
    code: str,
    username: str,
    currency: str,
    agent: str,
    stake_share: str,
    tags: tuple[str, ...],
) -> None:
    """Add a group's account at a bookmaker."""
    with writing(engine) as session:
        group = group_by_name(session, brand=brand_by_client(session, client), name=group_name)
        added = service.add_account(
            session,
            group=group,
            bookie=code,
            username=username,
            currency=currency,
            agent=agent,
            stake_share=stake_share,
            tags=tags,
        )
    click.echo(f"account {added.id} at {code} added")


@bookie.command("list")
@JSON
@click.pass_obj
def list_(engine: Engine, as_json: bool) -> None:
    """List the bookmaker accounts with their last known balances."""
    rows = []
    for own in each_brand(engine):
        with reading(own) as session:
            rows += [_account_row(row) for row in session.scalars(select(BookieAccount).order_by(BookieAccount.id))]
    echo_rows(rows, as_json=as_json, line=_account_line, empty="no bookmaker accounts")


def _account_row(row: BookieAccount) -> dict[str, Any]:
    return {
        "id": row.id,
        "bookie": row.bookie,
        "username": row.username,
        "group_id": row.group_id,
        "enabled": row.enabled,
        "tags": row.tags,
        "currency": row.currency,
        "balance": None if row.balance is None else money.format_amount(row.balance, row.currency),
        "balance_at": row.balance_at.isoformat() if row.balance_at else None,
    }


def _account_line(row: dict[str, Any]) -> str:
    state = "" if row["enabled"] else "  disabled"
    balance = row["balance"] or "?"
    return f"{row['id']:>6}  {row['bookie']:<12} {row['username']:<16} {balance:>14} {row['currency']}{state}"


@bookie.command("rules")
@click.option("--customer", "username", required=True, help="The customer's username.")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.pass_obj
def rules(engine: Engine, username: str, file: TextIO) -> None:
    """Set the tag rules that choose a customer's bookmaker accounts, from a JSON file. The first match decides."""
    try:
        document = json.load(file)
        with writing(engine_of_customer(engine, username)) as session:
            service.set_tag_rules(session, customer_by_username(session, username), document)
    except (json.JSONDecodeError, ValidationError, RecursionError) as error:
        raise click.ClickException(f"{file.name}: expected a JSON list of tag rules: {error}") from None
    click.echo(f"{username}: {len(document)} rules")


@bookie.command("enable")
@click.argument("id_", metavar="ID", type=click.IntRange(1, 2**62))
@click.option("--off", is_flag=True, help="Disable instead of enable.")
@click.pass_obj
def enable(engine: Engine, id_: int, off: bool) -> None:
    """Enable or disable a bookmaker account."""
    with writing(engine_with_row(engine, BookieAccount, id_)) as session:
        found = session.get(BookieAccount, id_)
        if found is None:
            raise NotFoundError(f"no bookmaker account {id_}")
        found.enabled = not off
    click.echo(f"bookmaker account {id_} {'disabled' if off else 'enabled'}")


@bookie.command("kick")
@click.argument("id_", metavar="ID", type=click.IntRange(1, 2**62))
@click.pass_obj
def kick(engine: Engine, id_: int) -> None:
    """Fetch a bookmaker account's balance from the bookmaker, and store it."""
    queried_at = clock.now()
    engine = engine_with_row(engine, BookieAccount, id_)
    with reading(engine) as session:
        found = session.get(BookieAccount, id_)
        if found is None:
            raise NotFoundError(f"no bookmaker account {id_}")
        adapter, query = service.balance_query(found)
    balance = service.fetch_balance(adapter, query)
    with writing(engine) as session:
        service.store_balance(session, id_, balance, queried_at=queried_at)
    click.echo(f"{money.format_amount(balance, query.currency)} {query.currency}")


@bookie.command("simulate")
@click.option("--port", type=click.IntRange(1, 65_535), default=8090, show_default=True, help="Port on this machine.")
@click.option("--account", "accounts", multiple=True, metavar="USERNAME=EUR:123.45", required=True, help="Repeatable.")
def simulate(port: int, accounts: tuple[str, ...]) -> None:
    """Run a simulated bookmaker on this machine, for tests and the demo, until it is stopped."""
    balances = {}
    for text in accounts:
        username, _, pair = text.partition("=")
        currency, _, balance = pair.partition(":")
        money.known_decimals(currency)
        balances[username] = (currency, balance)
    with Simulator(port, balances) as server:
        click.echo(f"a simulated bookmaker at http://127.0.0.1:{server.server_port}", err=True)
        server.serve_forever()
