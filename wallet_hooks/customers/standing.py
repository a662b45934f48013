"""Whether a customer may bet or deposit at all, whatever the amount. Pure."""

from datetime import datetime

from wallet_hooks.customers.queries import CustomerFacts


def account_refusal(customer: CustomerFacts, *, now: datetime) -> str | None:
    """The code of what closes the customer's account to bets and to new deposits; None where it is open."""
    if not customer.active:
        return "customer_inactive"
    if customer.locked:
        return "customer_locked"
    if customer.expires_at is not None and customer.expires_at <= now:
        return "customer_expired"
    return None


def betting_refusal(customer: CustomerFacts, *, is_country_permitted: bool, now: datetime) -> str | None:
    """The code of what stands against the customer's betting, in the order in which the rules are checked."""
    if (closed := account_refusal(customer, now=now)) is not None:
        return closed
    if "bet_placer" not in customer.roles:
        return "betting_not_permitted"
    return None if is_country_permitted else "country_not_permitted"
