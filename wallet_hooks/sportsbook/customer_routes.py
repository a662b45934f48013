"""The /v1 routes about customers' bets; `routes.py` has the provider's callbacks."""

from typing import Any

from wallet_hooks.customers.callers import known_customer
from wallet_hooks.database import reading
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.sportsbook.accounting import accounting_info
from wallet_hooks.v1 import ApiCall, V1Route
from wallet_hooks.web.api import ApiContext


def show_accounting(context: ApiContext, call: ApiCall, username: str) -> list[dict[str, Any]]:
    """Balance, open stakes, profit and loss, credit limit and commission rate, in the customer's currency."""
    with reading(context.engine) as session:
        customer = known_customer(session, call.customer, username)
        return accounting_info(session, customer, brand_by_id(session, customer.brand_id), now=call.now)


ROUTES = (V1Route("GET", "/v1/customers/<username>/accounting_info/", show_accounting),)
