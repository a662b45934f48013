"""OpenAPI links: which call takes what another one answered."""

from typing import Any

from wallet_hooks.cashier import routes as cashier
from wallet_hooks.customers import routes as customers
from wallet_hooks.openapi.fields import Json

_USERNAME = "$request.path.username"


def _link(view: Any, **parameters: str) -> dict[str, Json]:
    return {view.__name__: {"operationId": view.__name__, "parameters": parameters}}


_SESSION, _CREATED, _PAYMENT = (
    {"token": "$response.body#/data"},
    {"username": "$response.body#/data/username"},
    {"username": _USERNAME, "payment_id": "$response.body#/data/id"},
)
_LINKS: dict[Any, dict[str, Json]] = {
    customers.begin_session: _link(customers.show_session, **_SESSION) | _link(customers.end_session, **_SESSION),
    customers.create_customer: {
        **_link(customers.show_customer, **_CREATED),
        **_link(customers.patch_customer, **_CREATED),
        **_link(customers.show_credit_limit_history, **_CREATED),
        **_link(cashier.deposit, **_CREATED),
        **_link(cashier.withdraw, **_CREATED),
    },
    customers.create_group: _link(customers.add_group_manager, group_id="$response.body#/data/id"),
    cashier.deposit: _link(cashier.confirm_deposit, **_PAYMENT) | _link(cashier.fail_deposit, **_PAYMENT),
}


def links_of(view: Any) -> Json:
    """Return the member `links` of a call's successful response, if it has any."""
    return {"links": _LINKS[view]} if view in _LINKS else {}
