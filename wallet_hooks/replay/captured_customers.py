"""A customer and its limits, as a line of a capture has them."""

from collections.abc import Iterator
from typing import Any

from wallet_hooks import money
from wallet_hooks.customers.play_sessions import play_session_of
from wallet_hooks.limits.rules import SESSION
from wallet_hooks.replay.batch_facts import CapturedCustomer
from wallet_hooks.replay.fixture import instant_text


def given_customer(captured: CapturedCustomer) -> dict[str, Any]:
    """Return a customer as the preconditions of a case name it."""
    customer, brand = captured.customer, captured.brand
    currency = customer.currency
    facts: dict[str, Any] = {
        "brand": brand.client,
        "uid": customer.uid,
        "currency": currency,
        "balance": money.format_amount(captured.opening_balance, currency),
        "credit_limit": money.format_amount(customer.credit_limit, currency),
        "roles": customer.roles,
        "active": customer.active,
        "locked": customer.locked,
    }
    if customer.commission_rates:
        rates = customer.commission_rates
        facts["commission_rates"] = [{"from": day.isoformat(), "percent": percent} for day, percent in rates]
    if customer.max_stake_per_event is not None:
        facts["stake_limit"] = money.format_amount(customer.max_stake_per_event, currency)
    for name, value in (
        ("expires_at", customer.expires_at),
        ("logged_in_at", play_session_of(customer).login_began_at),
    ):
        if value is not None:
            facts[name] = instant_text(value)
    return facts


def given_limits(captured: CapturedCustomer) -> Iterator[dict[str, Any]]:
    """Yield the limits on a customer that were in force at the end of the capture."""
    customer = captured.customer
    for limit in captured.limits:
        assert limit.amount is not None, "the query selects limits with an amount"
        facts: dict[str, Any] = {"brand": captured.brand.client, "uid": customer.uid, "type": limit.type}
        if limit.frame == SESSION:
            yield facts | {"amount": str(limit.amount)}
        else:
            yield facts | {"frame": limit.frame, "amount": money.format_amount(limit.amount, customer.currency)}
