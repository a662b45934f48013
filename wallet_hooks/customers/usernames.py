"""Usernames: up to 64 ASCII letters and digits, unique among all customers in any case."""

from collections.abc import Collection, Iterable

from sqlalchemy import ColumnElement, Engine, func, insert, select, update
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.database import has_brand_schemas
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.brand_engines import engine_of_username
from wallet_hooks.identity.models import Username


def check_username(username: str) -> None:
    """Raises RefusedError unless it is made of ASCII letters and digits; its schema type owns the length."""
    if not is_username(username):
        raise RefusedError("bad_username", f"username {username!r}: ASCII letters and digits are expected")


def is_username(text: str) -> bool:
    """Return whether a text is made of ASCII letters and digits, as every username is."""
    return text.isascii() and text.isalnum()


def folded(username: str) -> str:
    """Return a username with its ASCII letters in lower case, as the database's `lower` does.

    Python's `lower` would also turn the Kelvin sign into a `k`.
    """
    return username.lower() if username.isascii() else username


def has_username(username: str) -> ColumnElement[bool]:
    """Return the condition that a customer has this username, in any case."""
    return func.lower(Customer.username) == folded(username)


def unknown_customer(username: str) -> NotFoundError:
    """Return the error for a username that no customer has, or none that the caller may see."""
    return NotFoundError(f"no customer {username!r}")


def engine_of_customer(engine: Engine, username: str) -> Engine:
    """Return the engine that sees the tables of a username's customer. Raises NotFoundError."""
    found = engine_of_username(engine, folded(username))
    if found is None:
        raise unknown_customer(username)
    return found


def taken_usernames(session: Session, names: Collection[str]) -> list[str]:
    """Return which of the folded names customers of any brand have."""
    column = Username.folded if has_brand_schemas(session.get_bind().engine) else func.lower(Customer.username)
    return list(session.scalars(select(column).where(column.in_(names))))


def store_usernames(session: Session, customers: Iterable[Customer]) -> None:
    """Store the names of new customers for all brands, where each brand has a schema."""
    if has_brand_schemas(session.get_bind().engine):
        rows = [{"customer_id": one.id, "brand_id": one.brand_id, "folded": folded(one.username)} for one in customers]
        session.execute(insert(Username), rows)


def change_username(session: Session, customer: Customer, username: str) -> None:
    """Store a customer's new name for all brands, where each brand has a schema."""
    if has_brand_schemas(session.get_bind().engine):
        own = Username.customer_id == customer.id
        session.execute(update(Username).where(own).values(folded=folded(username)))
