"""Usernames: up to 64 ASCII letters and digits, unique among all customers whatever their case."""

from sqlalchemy import ColumnElement, func

from wallet_hooks.customers.models import Customer
from wallet_hooks.errors import RefusedError


def check_username(username: str) -> None:
    """Raises RefusedError unless it is made of up to 64 ASCII letters and digits (seeds/000)."""
    if not 0 < len(username) <= 64 or not username.isalnum() or not username.isascii():
        raise RefusedError("bad_username", f"username {username!r}: up to 64 letters and digits are expected")


def folded(username: str) -> str:
    """What two usernames that are one have in common, as the database's `lower` has it: ASCII letters alone.

    (Python would make a `k` of the sign for kelvin.)
    """
    return username.lower() if username.isascii() else username


def has_username(username: str) -> ColumnElement[bool]:
    """The condition that a customer's username is this one, in whatever case."""
    return func.lower(Customer.username) == folded(username)
