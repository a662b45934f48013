"""OpenAPI links: which call takes what another one was sent or answered. Calls are named by their operation ids."""

from typing import Any

from wallet_hooks.openapi.fields import Json

_USER = {"client": "$request.body#/bets/0/user/client", "uid": "$request.body#/bets/0/user/uid"}
_BET = {"uid": "$request.body#/bets/0/bet/uid", "amount": "$request.body#/bets/0/bet/amount"}
_RESULT = _BET | {"currency": "$request.body#/bets/0/pool/currency", "payout": "$request.body#/bets/0/bet/amount"}
_POOL = {
    "client": "$request.body#/bets/0/pool/client",
    "game": "$request.body#/bets/0/pool/game",
    "uid": "$request.body#/bets/0/pool/uid",
}
_SUBSCRIPTION = {"subscriptionToken": "$response.body"}


def _parameters(values: dict[str, str], *operations: str) -> dict[str, Json]:
    """Return links to calls that take these values as parameters."""
    return {name: {"operationId": name, "parameters": values} for name in operations}


def _bodies(body: Any, *operations: str) -> dict[str, Json]:
    """Return links to calls that take this body."""
    return {name: {"operationId": name, "requestBody": body} for name in operations}


LINKS: dict[str, dict[str, Json]] = {
    "bets": _bodies({"pools": [{"pool": _POOL, "bets": [{"user": _USER, "bet": _RESULT}]}]}, "winners")
    | _bodies({"pools": [{"pool": _POOL, "bets": [{"user": _USER, "bet": _BET}]}]}, "bets_cancel"),
    "betslip_messages": _parameters({"betslip_id": "$request.body#/data/0/1/betslip_id"}, "show_betslip"),
    "account_getApplicationSubscriptionToken": _bodies(
        _SUBSCRIPTION,
        "account_activateApplicationSubscription",
        "account_cancelApplicationSubscription",
    ),
    "account_getAuthorisationCode": _bodies(
        {"code": "$response.body#/authorisationCode", "grant_type": "AUTHORIZATION_CODE"}, "account_token"
    ),
    "begin_session": _parameters({"token": "$response.body#/data"}, "show_session", "end_session"),
    "create_customer": _parameters(
        {"username": "$response.body#/data/username"},
        "show_customer",
        "patch_customer",
        "show_credit_limit_history",
        "deposit",
        "withdraw",
    ),
    "create_group": _parameters({"group_id": "$response.body#/data/id"}, "add_group_manager", "list_group_accounts"),
    "deposit": _parameters(
        {"username": "$request.path.username", "payment_id": "$response.body#/data/id"},
        "confirm_deposit",
        "fail_deposit",
    ),
    "list_customers": _parameters({"username": "$response.body#/data/0/username"}, "show_customer", "show_accounting"),
    "list_betslips": _parameters({"betslip_id": "$response.body#/data/0/betslip_id"}, "show_betslip"),
    "list_vendors": _parameters({"vendor_id": "$response.body#/data/0/vendor_id"}, "patch_vendor"),
    "limits_calculate": {
        "limits_update": {
            "operationId": "limits_update",
            "parameters": {"brand_id": "$request.path.brand_id"},
            "requestBody": {
                "uuid": "$request.body#/uuid",
                "bet": "$response.body#/bet",
                "loss": "$response.body#/loss",
                "deposit": "$response.body#/deposit",
                "time_limit": "$response.body#/time_limit",
                "reality_check": "$response.body#/reality_check",
            },
        }
    },
}


def add_links(paths: Json) -> None:
    """Add each operation's links to its successful response."""
    for operations in paths.values():
        for operation in operations.values():
            if links := LINKS.get(operation["operationId"]):
                operation["responses"]["200"]["links"] = links
