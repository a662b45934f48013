"""Usernames: up to 64 ASCII letters and digits, unique among all customers in any case."""

from sqlalchemy import ColumnElement, func

from wallet_hooks.customers.models import Customer
from wallet_hooks.errors import RefusedError


def check_username(username: str) -> None:
    """Raises RefusedError unless it is made of ASCII letters and digits; its schema type owns the length."""
    if not username.isalnum() or not username.isascii():
        raise RefusedError("bad_username", f"username {username!r}: ASCII letters and digits are expected")


def folded(username: str) -> str:
    """Return a username with its ASCII letters in lower case, as the database's `lower` does.

    Python's `lower` would also turn the Kelvin sign into a `k`.
    """
    return username.lower() if username.isascii() else username


def has_username(username: str) -> ColumnElement[bool]:
    """Return the condition that a customer has this username, in any case."""
    return func.lower(Customer.username) == folded(username)
