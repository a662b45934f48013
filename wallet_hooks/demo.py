"""Demo data: two brands, ten customers with funds, limits and credit."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.errors import ConflictError
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.service import add_brand, add_provider
from wallet_hooks.ledger.service import set_rate

_BRANDS = (
    (1007, "acme", "EUR", "Europe/London", "ukgc"),
    (1008, "nordbet", "SEK", "Europe/Stockholm", "sweden"),
)
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


def is_loaded(session: Session) -> bool:
    """Whether the database holds the demo's brands and no others."""
    found = {(id_, client) for id_, client in session.execute(select(Brand.id, Brand.client))}
    return found == {(id_, client) for id_, client, *_ in _BRANDS}


def load(session: Session, *, now: datetime) -> None:
    """Load the demo's data. Raises ConflictError on a database that holds anything else."""
    if session.scalar(select(Brand.id).limit(1)) is not None:
        raise ConflictError("this database holds brands already; the demo goes into an empty one")
    for id_, client, currency, timezone, policy in _BRANDS:
        brand = add_brand(session, id_=id_, client=client, currency=currency, timezone=timezone, policy=policy)
        add_provider(session, game="betflex", client=client, auth="none", secrets=(), allow=())
        create_customers(session, brand, _CUSTOMERS[client], now=now)
    for source, target, rate in _RATES:
        set_rate(session, source=source, target=target, rate=rate, now=now)
