"""Customers' profiles: names, places, and the other fields that the account API shows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, CustomerProfile


def profile_of(session: Session, customer_id: int) -> CustomerProfile:
    """Return a customer's profile; an empty one, which is not stored, where none was set."""
    found = session.get(CustomerProfile, customer_id)
    return found or CustomerProfile(customer_id=customer_id, discount_rate="0", points_balance=0)


def change_profile(session: Session, customer: Customer, changes: Mapping[str, Any]) -> None:
    """Set profile fields, by their columns' names; an empty text makes a field unknown."""
    profile = session.get(CustomerProfile, customer.id)
    if profile is None:
        profile = CustomerProfile(customer_id=customer.id)
        session.add(profile)
    for name, value in changes.items():
        setattr(profile, name, None if value == "" else value)
    session.flush()
