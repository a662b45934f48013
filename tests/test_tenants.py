"""Objects of others cannot be read or changed: every operation that names one, for every kind of caller."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from tests.desk import Desk
from tests.test_edges import BODIES, OPERATIONS, DocumentedOperation
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.customers.models import ROLES
from wallet_hooks.database import reading, writing

# Objects by the parameter that names one. A login's token is its own proof, so it is nobody else's.
OF_ANOTHER_BRAND = {"username": "freja", "group_id": "3", "brand_id": "1008", "betslip_id": "of-freja"}
OF_ANOTHER_BRAND |= {"vendor_id": "1"}
OF_ANOTHER_GROUP = {"username": "eve", "group_id": "2"}
OWN = {"username": "bob", "group_id": "1", "payment_id": "1", "brand_id": "1007", "currency": "EUR", "version": "v1"}
# Operations that name a brand and a currency, but nobody's object.
PUBLIC = {"limits_show_metadata"}
NAMING = [
    one for one in OPERATIONS if one.id not in PUBLIC and any(f"{{{name}}}" in one.path for name in OF_ANOTHER_BRAND)
]


class ForeignRequest(NamedTuple):
    """A caller, its credentials, and the path of an object that is not the caller's."""

    who: str
    headers: dict[str, str]
    path: str


def attempts(desk: Desk, operation: DocumentedOperation, of_another_brand: dict[str, str]) -> Iterator[ForeignRequest]:
    """Yield an attempt of every kind of caller of brand acme on each foreign object that the operation names.

    Customers and managers may not reach other groups, bob not with every role that a customer can have; API tokens that
    are bound to the brand may reach it all.
    """
    with writing(desk.world.engine) as session:
        customer_by_username(session, "bob").roles = list(ROLES)
    callers: list[tuple[str, dict[str, str], tuple[dict[str, str], ...]]] = [
        (role, {"Authorization": f"Bearer {desk.api_token(role, 'acme')}"}, (of_another_brand,))
        for role in ("cashier", "finance", "operations", "qa")
    ]
    for username in ("ann", "boss", "bob"):
        headers = dict.fromkeys(("Session", "x-auth-token", "X-Authentication"), desk.token(username))
        callers.append((username, headers, (of_another_brand, OF_ANOTHER_GROUP)))
    for who, headers, others in callers:
        for foreign in others:
            for name, value in foreign.items():
                if f"{{{name}}}" in operation.path:
                    yield ForeignRequest(who, headers, operation.path.format_map({**OWN, name: value}))


def facts(desk: Desk) -> dict[str, Any]:
    """Return what the database holds of everybody, without logins, which callers have."""
    with reading(desk.world.engine) as session:
        tables = {row[0] for row in session.execute(text(_TABLE_NAMES[desk.world.engine.dialect.name]))}
        return {
            name: sorted(map(str, session.execute(text(f"SELECT * FROM {name}"))))
            for name in sorted(tables - {"login_session", "api_token", "delivery"})
        }


_TABLE_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT concat_ws('.', nullif(schemaname, 'public'), tablename) FROM pg_tables"
    " WHERE schemaname ~ '^(public|brand_.*)$'",
}


@pytest.mark.parametrize("operation", NAMING, ids=lambda operation: operation.id)
def test_foreign_objects_are_refused_and_stay_as_they_are(desk: Desk, operation: DocumentedOperation) -> None:
    body = json.dumps(BODIES[operation.id]) if operation.id in BODIES else None
    desk.world.provider("nordbet")
    slip = {"betslip_id": "of-freja", "customer_username": "freja", "is_open": True}
    assert desk.world.repeat("/betslips/messages", {"ts": 1, "data": [["betslip", slip]]}).status == 200
    assert desk.call("freja", "GET", "/v1/betslips/of-freja/").status == 200
    desk.vendor("freja", "of freja")
    reserved = {"method": "card", "amount": ["SEK", 5], "reference": "of-freja", "reserve": True}
    cashier, key = f"token:{desk.api_token('cashier', 'nordbet')}", {"Idempotency-Key": "of-freja"}
    payment = desk.ok(cashier, "POST", "/v1/customers/freja/deposits/", reserved, headers=key)["id"]
    assert [vendor["vendor_id"] for vendor in desk.ok("freja", "GET", "/v1/vendors/")] == ["1"]
    tried = list(attempts(desk, operation, OF_ANOTHER_BRAND | {"payment_id": str(payment)}))
    before = facts(desk)
    for who, headers, path in tried:
        response = desk.world.client.open(
            path,
            method=operation.method.upper(),
            headers=headers | {"Idempotency-Key": "foreign"},
            data=body,
            content_type="application/json",
        )
        assert response.status_code in {400, 401, 403, 404}, (who, path, response.text[:200])
    assert tried
    assert facts(desk) == before


# Their operations are in the document one by one.
_TRANSPORTS = {"/exchange/account/json-rpc/v1/<>", "/exchange/account/rest/<>/<>"}


def test_every_route_that_names_something_is_documented_or_of_the_console(desk: Desk) -> None:
    """So that it is tried here or in `test_foreign_names`. Staff see every brand."""
    documented = {re.sub(r"{\w+}", "<>", one.path).rstrip("/") for one in OPERATIONS}
    rules = {
        re.sub("<[^>]*>", "<>", rule.rule).replace("/gateway/limits/<>", "/gateway/limits/v1").rstrip("/")
        for rule in desk.world.app.url_map.iter_rules()
        if rule.arguments and not rule.rule.startswith("/console/")
    }
    assert rules - documented == _TRANSPORTS
    tried = {one.id for one in NAMING} | PUBLIC | {"export", "show_session", "end_session"}
    assert {one.id for one in OPERATIONS if "{" in one.path} - tried == set()
