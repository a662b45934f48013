"""Whether a customer may bet or deposit at all, whatever the amount. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol


class AccountFacts(Protocol):
    """The columns of a customer that decide whether it is let in."""

    @property
    def active(self) -> bool: ...
    @property
    def locked(self) -> bool: ...
    @property
    def expires_at(self) -> datetime | None: ...


class BettorFacts(AccountFacts, Protocol):
    """The columns of a customer that decide whether it may bet."""

    @property
    def roles(self) -> Collection[str]: ...


def account_refusal(customer: AccountFacts, *, now: datetime) -> str | None:
    """Return why the customer may neither log in, bet nor deposit, as an error code; None where it may."""
    if not customer.active:
        return "customer_inactive"
    if customer.locked:
        return "customer_locked"
    if customer.expires_at is not None and customer.expires_at <= now:
        return "customer_expired"
    return None


def funds_refusal(credit_limit: int) -> str:
    """Return the code for a customer who has too little money, by its credit limit in minor units."""
    return "credit_limit_exceeded" if credit_limit else "insufficient_funds"


def betting_refusal(customer: BettorFacts, *, is_country_permitted: bool, now: datetime) -> str | None:
    """Return the first reason why the customer may not bet, in the order of the rules; None where it may."""
    if (closed := account_refusal(customer, now=now)) is not None:
        return closed
    if "bet_placer" not in customer.roles:
        return "betting_not_permitted"
    return None if is_country_permitted else "country_not_permitted"
