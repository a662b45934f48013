"""Demo data: two brands, ten customers with funds, limits and credit."""

from datetime import datetime

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.bookies.service import add_account, set_bookie
from wallet_hooks.customers.groups import create_group
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.database import writing
from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.errors import ConflictError
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.passwords import hash_password
from wallet_hooks.identity.service import add_brand, add_provider
from wallet_hooks.ledger.rates import set_rate

_BRANDS = (
    (1007, "acme", "EUR", "Europe/London", "ukgc"),
    (1008, "nordbet", "SEK", "Europe/Stockholm", "sweden"),
)
# Customers who can log in, with the password that README.md documents.
_PASSWORD = "demo-pass-1"  # noqa: S105 - public demo password
_WITH_PASSWORD = ("ann", "dan")
_CUSTOMERS = {
    "acme": (
        NewCustomer(uid="7", username="ann", currency="EUR", balance=100_00),
        NewCustomer(uid="8", username="bob", currency="EUR", balance=50_00, credit_limit=100_00),
        NewCustomer(uid="9", username="cleo", currency="GBP", balance=200_00, max_stake_per_event=50_00),
        NewCustomer(uid="10", username="dan", currency="EUR", balance=0, credit_limit=1000_00),
        NewCustomer(uid="11", username="eve", currency="EUR", balance=75_00, locked=True),
    ),
    "nordbet": (
        NewCustomer(uid="7", username="freja", currency="SEK", balance=1_000_00),
        NewCustomer(uid="8", username="gustav", currency="SEK", balance=2_500_00),
        NewCustomer(uid="9", username="hiro", currency="JPY", balance=50_000),
        NewCustomer(uid="10", username="ines", currency="KWD", balance=300_000, max_stake_per_event=25_000),
        NewCustomer(uid="11", username="jon", currency="SEK", balance=10_00, roles=("customer",)),
    ),
}
_RATES = (("GBP", "EUR", "1.17"), ("EUR", "GBP", "0.855"), ("EUR", "SEK", "11.20"), ("SEK", "EUR", "0.0893"))


@click.command()
@click.option("--if-empty", is_flag=True, help="Do nothing if the demo data is loaded already.")
@click.pass_obj
def demo(engine: Engine, if_empty: bool) -> None:
    """Load demo data: two brands, ten customers with funds, limits and credit."""
    with writing(engine) as session:
        if if_empty and is_loaded(session):
            return
        load(session, now=clock.now())
    click.echo("demo data loaded")


def is_loaded(session: Session) -> bool:
    """Return whether the database has exactly the demo's brands."""
    found = {(id_, client) for id_, client in session.execute(select(Brand.id, Brand.client))}
    return found == {(id_, client) for id_, client, *_ in _BRANDS}


def load(session: Session, *, now: datetime) -> None:
    """Load the demo data. Raises ConflictError if the database has any brand."""
    if session.scalar(select(Brand.id).limit(1)) is not None:
        raise ConflictError("this database has brands already; load the demo into an empty database")
    for id_, client, currency, timezone, policy in _BRANDS:
        brand = add_brand(session, id_=id_, client=client, currency=currency, timezone=timezone, policy=policy)
        add_provider(session, game="betflex", client=client, auth="none", secrets=(), allow=())
        with seeing_brand(session.connection(), brand.id):
            customers = create_customers(session, brand, _CUSTOMERS[client], now=now)
            if client == "acme":
                _create_group(session, brand, {customer.username: customer for customer in customers}, now=now)
    for source, target, rate in _RATES:
        set_rate(session, source=source, target=target, rate=rate, now=now)


def _create_group(session: Session, brand: Brand, customers: dict[str, Customer], *, now: datetime) -> None:
    """Put a brand's customers into one group, managed by dan, with two accounts at a simulated bookmaker."""
    group = create_group(session, brand_id=brand.id, name="desk", managers=[customers["dan"]], now=now)
    for customer in customers.values():
        customer.group_id = group.id
    for username in _WITH_PASSWORD:
        customers[username].password_hash = hash_password(_PASSWORD)
    set_bookie(session, code="simbook", adapter="http-json", url="http://127.0.0.1:8090", secret=None)
    for username, tags in (("desk1", ["asia", "fast"]), ("desk2", ["europe"])):
        add_account(session, group=group, bookie="simbook", username=username, currency="EUR", tags=tags)
