"""OpenAPI links: which call takes what another one answered."""

from typing import Any

from wallet_hooks.cashier import routes as cashier
from wallet_hooks.customers import routes as customers
from wallet_hooks.openapi.fields import Json


def _links(parameters: dict[str, str], *views: Any) -> dict[str, Json]:
    """Return links to calls that take the same values."""
    return {view.__name__: {"operationId": view.__name__, "parameters": parameters} for view in views}


_LINKS: dict[Any, dict[str, Json]] = {
    customers.begin_session: _links(
        {"token": "$response.body#/data"},
        customers.show_session,
        customers.end_session,
    ),
    customers.create_customer: _links(
        {"username": "$response.body#/data/username"},
        customers.show_customer,
        customers.patch_customer,
        customers.show_credit_limit_history,
        cashier.deposit,
        cashier.withdraw,
    ),
    customers.create_group: _links(
        {"group_id": "$response.body#/data/id"},
        customers.add_group_manager,
    ),
    cashier.deposit: _links(
        {"username": "$request.path.username", "payment_id": "$response.body#/data/id"},
        cashier.confirm_deposit,
        cashier.fail_deposit,
    ),
}


def links_of(view: Any) -> Json:
    """Return the member `links` of a call's successful response, if it has any."""
    return {"links": _LINKS[view]} if view in _LINKS else {}
