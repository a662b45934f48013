"""The command `wallet-hooks vendor`, and `wallet-hooks customer show`, which adds wallets and exposure."""

import json

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.accounts_api import vendors
from wallet_hooks.accounts_api.funds import funds_of
from wallet_hooks.customers.commands import customer
from wallet_hooks.customers.queries import customer_by_uid, customer_of_any_brand
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import pass_brand_engine
from wallet_hooks.limits.overview import overview_of
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, of_customer


@click.group()
def vendor() -> None:
    """Vendors of web applications for the account API."""


@vendor.command()
@click.option("--app", "name", required=True, help="The application's name, in any case.")
@click.option("--redirect-url", required=True, help="Where customers are sent with an authorisation code.")
@click.option("--subscription-required", is_flag=True, help="Customers must subscribe before they use its keys.")
@click.pass_obj
def add(engine: Engine, name: str, redirect_url: str, subscription_required: bool) -> None:
    """Make an application a vendor's. Prints its id, and its secret, which is shown only now.

    For an application that is a vendor's already it changes the URL and the flag, and replaces the secret.
    """
    with writing(engine) as session:
        application, secret = vendors.make_vendor(
            session, name, redirect_url=redirect_url, subscription_required=subscription_required
        )
    click.echo(f"vendor id     {application.id}")
    click.echo(f"vendor secret {secret}")


@vendor.command("list")
@JSON
@click.pass_obj
def list_(engine: Engine, as_json: bool) -> None:
    """List the vendors."""
    rows = []
    with reading(engine) as session:
        for application in session.scalars(vendors.select_vendors()).all():
            owner = customer_of_any_brand(session, application.owner_id)
            more = {"owner": owner.username if owner else None, "created_at": application.created_at.isoformat()}
            rows.append(vendors.vendor_data(application) | more)
    echo_rows(
        rows,
        as_json=as_json,
        line=lambda row: f"{row['vendor_id']:>6}  {row['app']:<24} {row['owner'] or '?':<16} {row['redirect_url']}",
        empty="no vendors",
    )


@vendor.command()
@click.argument("application_key")
@click.option("--active/--inactive", required=True, default=None, help="Whether the key may be used.")
@click.pass_obj
def key(engine: Engine, application_key: str, active: bool) -> None:
    """Activate or deactivate an application key; an inactive one is refused from then on."""
    with writing(engine) as session:
        vendors.set_key_active(session, application_key, is_active=active)
    click.echo(f"key {application_key} is {'active' if active else 'inactive'}")


@customer.command("show")
@of_customer
@JSON
@pass_brand_engine
def show_customer(engine: Engine, client: str, uid: str, as_json: bool) -> None:
    """Show a customer: wallets, what is available, exposure, open stakes, limits."""
    with reading(engine) as session:
        found, brand = customer_by_uid(session, client=client, uid=uid)
        funds = funds_of(session, found)
        row = overview_of(session, found, brand, now=clock.now())
    currency = found.currency
    row["wallets"] = {name: money.format_amount(minor, currency) for name, minor in funds.wallets.items()}
    row["exposure"] = money.format_amount(funds.exposure, currency)
    row["retained_commission"] = money.format_amount(0, currency)
    if as_json:
        click.echo(json.dumps(row))
        return
    row["wallets"] = ", ".join(f"{name} {amount}" for name, amount in row["wallets"].items())
    for name, value in row.items():
        click.echo(f"{name:<20} {value}")
