"""A customer with its money, as the commands and the console show it."""

from typing import Any

from wallet_hooks import money
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import CustomerBalances
from wallet_hooks.identity.models import Brand


def customer_row(found: Customer, brand: Brand, balances: CustomerBalances) -> dict[str, Any]:
    """Return a customer with its money: amounts as decimal strings."""
    currency = found.currency
    row: dict[str, Any] = {
        "brand": brand.client,
        "uid": found.uid,
        "username": found.username,
        "currency": currency,
        "balance": money.format_amount(balances.balance, currency),
        "available": money.format_amount(balances.available, currency),
        "open_stakes": money.format_amount(balances.open_stakes, currency),
        "credit_limit": money.format_amount(found.credit_limit, currency),
    }
    if balances.open_stakes_abroad:
        abroad = balances.open_stakes_abroad.items()
        row["open_stakes_abroad"] = {code: money.format_amount(amount, code) for code, amount in abroad}
    return row
