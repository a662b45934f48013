"""Whether somebody may bet at all, whatever the bet. Pure."""

from datetime import datetime

from wallet_hooks.customers.queries import CustomerFacts


def betting_refusal(customer: CustomerFacts, *, is_country_permitted: bool, now: datetime) -> str | None:
    """The code of what stands against the customer's betting, in the order in which the rules are checked."""
    if not customer.active:
        return "customer_inactive"
    if customer.locked:
        return "customer_locked"
    if customer.expires_at is not None and customer.expires_at <= now:
        return "customer_expired"
    if "bet_placer" not in customer.roles:
        return "betting_not_permitted"
    return None if is_country_permitted else "country_not_permitted"
