"""The customers' calls under /v1 that are about their bets; `routes.py` has the provider's protocol."""

from typing import Any

from wallet_hooks.customers.callers import known_customer
from wallet_hooks.customers.protocol import ApiCall, Office, V1Route
from wallet_hooks.database import reading
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.sportsbook.accounting import accounting_info


def show_accounting(office: Office, call: ApiCall, username: str) -> list[dict[str, Any]]:
    """Balance, open stakes, profit and loss, credit limit and commission rate, in the customer's currency."""
    with reading(office.engine) as session:
        customer = known_customer(session, call.person, username)
        return accounting_info(session, customer, brand_by_id(session, customer.brand_id), now=call.now)


ROUTES = (V1Route("GET", "/v1/customers/<username>/accounting_info/", show_accounting),)
