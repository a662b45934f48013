"""Boundary values in every body field, parameter, path part and header of /openapi.json.

No answer may be a server error, each status must be documented, and accepted data must be readable afterwards.
"""

import json
import os
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import pytest
from werkzeug.test import TestResponse

from tests.console.staff import signed_in
from tests.desk import Desk
from tests.world import bet, refund, result
from wallet_hooks.openapi.document import specification

# As JSON in a body.
EDGES = [
    *("0", "-1", "1e-7", "1e400", "2147483648", "9223372036854775808", "9" * 18, "9" * 4400),
    *("true", "null", "[]", "{}", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\u202e"', json.dumps("x" * 501)),
    *('"0001-01-01"', '"9999-12-30"', '"9999-12-31"', '"2026-02-30"', '"0001-01-01T00:00:00+14:00"'),
    *('"9999-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59-14:00"', '"9999999999999.99"', '"9999999999999999999"'),
    *('["EUR",0]', '["EUR",1e18]', '["EUR",9999999999999.99]', '["XXX",1]', '{"\\ud800":true}'),
]
# URL-encoded.
URL_EDGES = [
    *("", "0", "-1", "9" * 18, "9223372036854775807", "9223372036854775808", "1e400", "NaN", "true", "EUR"),
    *("%00", "%ED%A0%80", "%FF", "%C3%A9", "%2F", "%20", "x" * 501, "0001-01-01", "9999-12-31", "1970-01-01"),
    *("2199-12-31", ",".join(map(str, range(1000)))),
]
HEADER_EDGES = ["", " ", "\t", "x" * 101, "x" * 8000, "\xe9", "\x85", "Bearer", "Basic", "Basic !"]
CUSTOMER = {
    "group_id": 1,
    "name": "Zoe",
    "roles": {"customer": True},
    "credit_limit": ["EUR", 1],
    "credit_limit_comment": "new",
    "max_stake_per_event": ["EUR", 5],
    "commission_rate": {"date_from": "2026-01-01", "rate_pc": 1},
    "active": True,
    "locked": False,
    "expires_at": "2030-01-01",
    "ccy_code": "EUR",
}
PAYMENT = {"method": "card", "amount": ["EUR", 1], "reference": "R"}
RULE = {"any": ["a"], "all": ["b"], "none": ["c"], "action": "include"}
DAY_LIMIT = {"time_frame": "day", "new_amount": "5"}
BODIES: dict[str, Any] = {
    "bets": {"bets": [bet(77, overdraw="21.00")]},
    "winners": {"pools": [result(78)]},
    "bets_cancel": {"pools": [refund(79)]},
    "begin_session": {"username": "bob", "password": "wrong"},
    "create_customer": CUSTOMER | {"username": "zoe", "password": "passw0rd1", "uid": "z"},
    "patch_customer": CUSTOMER,
    "create_group": {"name": "more"},
    "add_group_manager": {"username": "bob"},
    "deposit": PAYMENT | {"reserve": True},
    "withdraw": PAYMENT,
    "adjust": {"amount": ["EUR", 1], "reference": "A", "reason": "error", "take": True},
    "preview_bookie_accounts": {"tag_rules": [RULE], "env_tags": ["x"]},
    "kick_balance": {"account_id": 1},
    "patch_vendor": {"redirect_url": "https://vendor.example/back"},
    "limits_calculate": {
        "uuid": "u",
        "changed_by": "x",
        "bet": DAY_LIMIT,
        "loss": DAY_LIMIT,
        "deposit": DAY_LIMIT,
        "time_limit": {"time_frame": "50_minutes"},
        "reality_check": "15_min",
    },
    "limits_update": {"uuid": "u", "bet": {"time_frame": "day", "effective_of": "now", "amount": "5"}},
    "limits_swap_or_delete": {"row_id": ["1"]},
    "limits_swap": ["1"],
}
WALLETS = {"from": "UK", "to": "AUSTRALIAN", "amount": 1.5}
TOKEN = {"client_id": "1", "grant_type": "REFRESH_TOKEN", "code": "c", "client_secret": "s", "refresh_token": "r"}
STATEMENT = {
    "locale": "en",
    "fromRecord": 1,
    "recordCount": 1,
    "itemDateRange": {"from": "2026-11-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"},
    "includeItem": "EXCHANGE",
    "wallet": "UK",
}
ACCOUNT_API: dict[str, Any] = {
    "createDeveloperAppKeys": {"appName": "app"},
    "getDeveloperAppKeys": {},
    "getAccountFunds": {"wallet": "UK"},
    "transferFunds": WALLETS,
    "getAccountDetails": {},
    "getVendorClientId": {},
    "getApplicationSubscriptionToken": {"subscriptionLength": 1, "clientReference": "c"},
    "activateApplicationSubscription": {"subscriptionToken": "t"},
    "cancelApplicationSubscription": {"subscriptionToken": "t"},
    "updateApplicationSubscription": {"vendorClientId": "1", "subscriptionLength": 1},
    "listApplicationSubscriptionTokens": {"subscriptionStatus": "ALL"},
    "listAccountSubscriptionTokens": {},
    "getApplicationSubscriptionHistory": {"vendorClientId": "1", "applicationKey": "k"},
    "getAccountStatement": STATEMENT,
    "listCurrencyRates": {"fromCurrency": "GBP"},
    "getAuthorisationCode": {"vendorId": "1"},
    "token": TOKEN,
    "getVendorDetails": {"vendorId": "1"},
    "revokeAccessToWebApp": {"vendorId": 1},
    "listAuthorizedWebApps": {},
    "isAccountSubscribedToWebApp": {"vendorId": "1"},
    "getAffiliateRelation": {"vendorClientIds": ["1"]},
}
OFFER = {"price": 2.1, "min": ["EUR", 2.0], "max": ["EUR", 5.4]}
PMM = {
    "betslip_id": "b1",
    "bookie": "bf",
    "username": "u",
    "status": {"code": "failed", "reason": "timeout"},
    "price_list": [{"bookie": OFFER, "effective": OFFER}],
}
BETSLIP = {"betslip_id": "b1", "customer_username": "boss", "is_open": True, "expiry_ts": 1.5, "accounts": [{}]}
BODIES["betslip_messages"] = {
    "ts": 1.5,
    "data": [["betslip", BETSLIP], ["pmm", PMM], ["betslip_closed", {"betslip_id": "b2", "close_reason": "timeout"}]],
}
BODIES |= {f"account_{name}": body for name, body in ACCOUNT_API.items()}
NAMES = {"username": "bob", "group_id": "1", "payment_id": "1", "token": "0" * 32, "brand_id": "1007"}
NAMES |= {"currency": "EUR", "report": "statement", "format": "csv", "betslip_id": "b1"}
NAMES |= {"vendor_id": "1"}
STATEMENT = {"from": "2026-01-01", "to": "2026-12-31", "brand": "acme", "uid": "8"}


class DocumentedOperation(NamedTuple):
    """An operation of the OpenAPI document."""

    method: str
    path: str
    facts: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.facts["operationId"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.facts.get("parameters", [])
        return found

    def path_with(self, **names: str) -> str:
        return self.path.format_map({**NAMES, **names})


OPERATIONS = [
    DocumentedOperation(method, path, facts)
    for path, methods in specification()["paths"].items()
    for method, facts in methods.items()
]
WITH_BODY = [one for one in OPERATIONS if "requestBody" in one.facts]
WITH_PARAMETERS = [one for one in OPERATIONS if one.parameters]
ONE_OF_EACH_API = [one for one in OPERATIONS if one.id in ("winners", "deposit", "limits_calculate", "export")]


class CheckedClient:
    """Calls operations with valid credentials, and checks that each status is documented."""

    def __init__(self, desk: Desk) -> None:
        self._client = desk.world.client
        self._headers = desk.headers_by_security()

    def call(
        self,
        operation: DocumentedOperation,
        path: str = "",
        headers: Any = None,
        also: Collection[int] = (),
        **kwargs: Any,
    ) -> int:
        """Call an operation and return the status, which must be documented or one of `also`."""
        schemes = tuple(name for one in operation.facts.get("security", ()) for name in one)
        sent = self._headers.get(schemes, {}) | {"Idempotency-Key": os.urandom(8).hex()} | (headers or {})
        response: TestResponse = self._client.open(
            path or operation.path_with(), method=operation.method.upper(), headers=sent, **kwargs
        )
        is_documented = str(response.status_code) in operation.facts["responses"] or response.status_code in also
        assert is_documented, (response.status_code, operation.id, path, headers, kwargs, response.text[:200])
        return response.status_code

    def read_everything(self, desk: Desk) -> None:
        """Call every operation that reads, and place a bet of the customer that was changed."""
        for operation in OPERATIONS:
            if operation.method == "get":
                assert self.call(operation, query_string=STATEMENT if operation.id == "export" else None) < 500
        reply = desk.world.post("/bets", {"bets": [bet(os.urandom(8).hex(), "0", user=8)]})
        assert reply.status < 500


_MARK = "boundary value"


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of the document and of every value in it."""
    yield path
    items = document.items() if isinstance(document, dict) else enumerate(document) if type(document) is list else ()
    for key, value in items:
        yield from places(value, (*path, key))


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = replaced(copy[path[0]], path[1:], value)
    return copy


def test_every_operation_with_a_body_is_tested() -> None:
    assert set(BODIES) == {operation.id for operation in WITH_BODY}


def test_every_part_of_a_path_has_a_value() -> None:
    names = {name for operation in OPERATIONS for name in re.findall(r"{(\w+)}", operation.path)}
    assert names == set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.id)
def test_boundary_values_in_body_fields(desk: Desk, operation: DocumentedOperation) -> None:
    client, body = CheckedClient(desk), BODIES[operation.id]
    for place in places(body):
        text = json.dumps(replaced(body, place, _MARK))
        was_accepted = False
        for edge in EDGES:
            sent = text.replace(json.dumps(_MARK), edge)
            was_accepted |= client.call(operation, data=sent, content_type="application/json") < 300
        if was_accepted:
            client.read_everything(desk)


@pytest.mark.slow
@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=lambda one: one.id)
def test_boundary_values_in_parameters(desk: Desk, operation: DocumentedOperation) -> None:
    client = CheckedClient(desk)
    kwargs = body_of(operation)
    query = STATEMENT if operation.id == "export" else {}
    for parameter in operation.parameters:
        name = parameter["name"]
        for edge in URL_EDGES:
            if parameter["in"] == "path":  # the value can make it another path, which does not exist
                client.call(operation, operation.path_with(**{name: edge}), also=(308, 404, 405), **kwargs)
            elif parameter["in"] == "query":
                changed = query | {name: edge}
                client.call(operation, query_string="&".join(f"{key}={value}" for key, value in changed.items()))


@pytest.mark.slow
@pytest.mark.parametrize("operation", ONE_OF_EACH_API, ids=lambda one: one.id)
def test_boundary_values_in_headers(desk: Desk, operation: DocumentedOperation) -> None:
    desk.world.configure(proxy_hops=1)
    client = CheckedClient(desk)
    for name in ("Idempotency-Key", "Session", "x-auth-token", "Authorization", "X-Forwarded-For", "Content-Type"):
        for edge in HEADER_EDGES:
            sent = body_of(operation)
            client.call(operation, **sent | {"headers": sent.get("headers", {}) | {name: edge}})


def body_of(operation: DocumentedOperation) -> dict[str, Any]:
    if operation.id not in BODIES:
        return {}
    return {"data": json.dumps(BODIES[operation.id]), "headers": {"Content-Type": "application/json"}}


_CALLER_HEADERS = (
    *("Cookie", "Referer", "Origin", "Accept", "Sec-Fetch-Site", "If-None-Match", "Content-Type", "Authorization"),
    *("Session", "X-Application", "X-Authentication", "X-Signature", "Webhook-Id", "Webhook-Timestamp"),
    *("Webhook-Signature", "Idempotency-Key"),
)
_CONSOLE_PARAMETERS = ("after", "q", "brand", "from", "to", "status", "ip", "who", "what")


@pytest.mark.slow
def test_boundary_values_at_every_route(desk: Desk) -> None:
    """In headers, parts of paths and parameters, also of the console, which is not in the document."""
    browser = signed_in(desk.world, "operations")
    failed = []
    for rule in desk.world.app.url_map.iter_rules():
        path = re.sub("<[^>]*>", "1", rule.rule)
        requests = [(path, {name: edge}) for name in _CALLER_HEADERS for edge in [*HEADER_EDGES, "a=\xff"]]
        requests += [(re.sub("<[^>]*>", edge, rule.rule), {}) for edge in URL_EDGES if rule.arguments]
        requests += [(f"{path}?{'&'.join(f'{name}={edge}' for name in _CONSOLE_PARAMETERS)}", {}) for edge in URL_EDGES]
        for method in () if rule.websocket else (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            for target, headers in requests:
                response = browser.client.open(target, method=method, headers=headers, data=b"{}")
                if response.status_code >= 500 and response.status_code not in {501, 503}:
                    failed.append((method, target[:100], headers))
    assert failed == []
