"""Objects of others that a body or a parameter names cannot be read or changed.

Those that a path names are in `test_tenants`. Every field of every body and query of /openapi.json either names
something (`NAMING`, and is tried here) or is a plain value (`VALUES`).
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.accounts_api.client import AccountClient
from tests.desk import Desk
from tests.limits.player import GatewayPlayer
from tests.test_edges import BODIES, OPERATIONS
from tests.test_tenants import facts
from tests.world import bet, refund, result
from wallet_hooks.bookies import service as bookies
from wallet_hooks.customers.models import Group
from wallet_hooks.database import writing
from wallet_hooks.openapi.document import specification

FOREIGN_SECRET = "nordbet:a secret of another provider"

NAMING = {
    *("client", "uid", "username", "group_id", "account_id", "row_id", "customer_ids", "brand", "data", "game"),
    *("subscriptionToken", "vendorClientId", "applicationKey", "client_id", "client_secret", "code", "refresh_token"),
}
# Names that the caller chooses for something new or of its own, secrets that prove who calls, and what all may know:
# `vendorId` is on a vendor's page, and `vendorClientIds` is not read.
VALUES = {
    *("uuid", "reference", "appName", "name", "clientReference", "vendorId", "vendorClientIds", "token"),
    *("password", "user", "pool", "bet", "bets", "pools", "roles", "customer", "extra", "ip", "status", "result"),
    *("amount", "base_payout", "cost", "currency", "guaranteed", "odds", "overdraw", "payout", "rake", "ts"),
    *("active", "ccy_code", "commission_rate", "date_from", "rate_pc", "credit_limit", "credit_limit_comment"),
    *("expires_at", "locked", "max_stake_per_event", "method", "reserve", "reason", "take", "redirect_url"),
    *("env_tags", "tag_rules", "action", "all", "any", "none", "last_login", "inactive", "permissions", "limit"),
    *("after", "before", "stake", "since", "from", "to", "item", "balance", "bom", "part", "wallet", "locale"),
    *("subscriptionLength", "subscriptionStatus", "fromRecord", "recordCount", "includeItem", "itemDateRange"),
    *("fromCurrency", "grant_type", "loss", "deposit", "time_limit", "reality_check", "time_frame", "new_amount"),
    *("amount_left", "effective_of", "changed_by"),
}


class Foreign(NamedTuple):
    """Objects of others: of group other, of bob, and of nordbet's freja, who is a vendor with bob as a customer.

    The caller is ann or the manager boss, or nordbet's provider.
    """

    limit_row: int
    bookie_account: int
    vendor_id: str
    vendor_secret: str
    application_key: str
    subscription_token: str
    vendor_client_id: str
    code: str
    refresh_token: str
    own_key: str


class NamingRequest(NamedTuple):
    """A call of `who` in which `fields` name an object of another."""

    operation: str
    fields: set[str]
    who: str
    body: Any = None
    query: dict[str, Any] | None = None
    path: dict[str, str] | None = None


def attempts(foreign: Foreign) -> Iterator[NamingRequest]:
    """Yield an attempt for each operation whose body or query names something."""
    callback = {"client", "uid", "game"}
    yield NamingRequest("bets", callback, "nordbet", {"bets": [bet(901)]})
    yield NamingRequest("winners", callback, "nordbet", {"pools": [result(900)]})
    yield NamingRequest("bets_cancel", callback, "nordbet", {"pools": [refund(900)]})
    for group in (2, 3):
        new = BODIES["create_customer"] | {"group_id": group}
        yield NamingRequest("create_customer", {"group_id", "uid", "username"}, "boss", new)
        yield NamingRequest(
            "patch_customer", {"group_id", "username"}, "boss", {"group_id": group}, path={"username": "bob"}
        )
    for username in ("eve", "freja"):
        path = {"group_id": "1"}
        yield NamingRequest("add_group_manager", {"username"}, "boss", {"username": username}, path=path)
    account = {"account_id": foreign.bookie_account}
    yield NamingRequest("kick_balance", {"account_id"}, "boss", account, path={"username": "bob"})
    for row in (foreign.limit_row, 10**9):
        yield NamingRequest("limits_swap", {"row_id"}, "ann", [str(row)])
        yield NamingRequest("limits_swap_or_delete", {"row_id"}, "ann", [str(row)])
        yield NamingRequest("limits_swap_or_delete", {"row_id"}, "ann", {"row_id": [str(row)]})
    yield NamingRequest("export", {"brand", "uid"}, "acme", query={"brand": "nordbet", "uid": "7"})
    yield NamingRequest("export", {"brand"}, "acme", query={"brand": "nordbet"})
    of_subscription = {"subscriptionToken": foreign.subscription_token}
    yield NamingRequest("account_cancelApplicationSubscription", {"subscriptionToken"}, "ann", of_subscription)
    renewal = {"vendorClientId": foreign.vendor_client_id, "subscriptionLength": 10}
    yield NamingRequest("account_updateApplicationSubscription", {"vendorClientId"}, "ann", renewal)
    history = {"vendorClientId": foreign.vendor_client_id, "applicationKey": foreign.application_key}
    yield NamingRequest("account_getApplicationSubscriptionHistory", set(history), "ann", history)
    given = {"client_id": foreign.vendor_id, "client_secret": foreign.vendor_secret}
    code = given | {"grant_type": "AUTHORIZATION_CODE", "code": foreign.code}
    yield NamingRequest("account_token", {"client_id", "client_secret", "code"}, "ann", code)
    refresh = given | {"grant_type": "REFRESH_TOKEN", "refresh_token": foreign.refresh_token}
    yield NamingRequest("account_token", {"client_id", "client_secret", "refresh_token"}, "ann", refresh)


@pytest.fixture
def foreign(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    monkeypatch.setenv("NORDBET_SECRET", FOREIGN_SECRET)
    world = desk.world
    slip = {"betslip_id": "of-ann", "customer_username": "ann", "is_open": True}
    assert world.repeat("/betslips/messages", {"ts": 1, "data": [["betslip", slip]]}).status == 200
    assert world.place(bet(900)).status == 200
    world.provider("nordbet", auth="basic", secrets=["env:NORDBET_SECRET"])
    world.provider("acme", auth="hmac", secrets=["env:UNSET"])
    player = GatewayPlayer(world, "8")
    player.set(bet=("day", "5"))
    player.set(bet=("day", "50"))
    with writing(world.engine) as session:
        bookies.set_bookie(session, code="book", adapter="http-json", url="http://127.0.0.1:9/", secret=None)
        group = session.get_one(Group, desk.other_group)
        account = bookies.add_account(session, group=group, bookie="book", username="theirs", currency="EUR").id
    client = AccountClient(desk)
    key, vendor_id, secret = client.new_vendor("freja", "theirs", subscription_required=True)
    own_key, _ = client.new_keys("ann", "mine")
    subscription = client.ok("getApplicationSubscriptionToken", who="freja", key=key, subscriptionLength=10)
    client.ok("activateApplicationSubscription", who="bob", key=key, subscriptionToken=subscription)
    vendor = {"who": None, "key": key, "client_id": vendor_id, "client_secret": secret}
    tokens = client.ok("token", **vendor, grant_type="AUTHORIZATION_CODE", code=_code(client, vendor_id))
    return Foreign(
        limit_row=player.get()["pending"]["bet"]["row_id"],
        bookie_account=account,
        vendor_id=vendor_id,
        vendor_secret=secret,
        application_key=key,
        subscription_token=subscription,
        vendor_client_id=client.ok("getVendorClientId", who="bob", key=key),
        code=_code(client, vendor_id),
        refresh_token=tokens["refresh_token"],
        own_key=own_key,
    )


def _code(client: AccountClient, vendor_id: str) -> str:
    return str(client.ok("getAuthorisationCode", who="bob", vendorId=vendor_id)["authorisationCode"])


def headers_of(desk: Desk, who: str, own_key: str) -> dict[str, str]:
    if who == "nordbet":
        return {"Authorization": f"Basic {b64encode(FOREIGN_SECRET.encode()).decode()}"}
    if who == "acme":
        return {"Authorization": f"Bearer {desk.api_token('finance', 'acme')}"}
    token = desk.token(who)
    return {**dict.fromkeys(("Session", "x-auth-token", "X-Authentication"), token), "X-Application": own_key}


def test_what_others_own_is_refused_and_stays_as_it_is(desk: Desk, foreign: Foreign) -> None:
    operations = {one.id: one for one in OPERATIONS}
    tried = [(one, headers_of(desk, one.who, foreign.own_key)) for one in attempts(foreign)]
    before = facts(desk)
    for attempt, headers in tried:
        operation = operations[attempt.operation]
        report = {"report": "statement" if attempt.query and "uid" in attempt.query else "journal", "format": "csv"}
        path = operation.path.format_map({"brand_id": "1007", **report, **(attempt.path or {})})
        response = desk.world.client.open(
            path, method=operation.method.upper(), headers=headers, json=attempt.body, query_string=attempt.query
        )
        assert response.status_code in {400, 401, 402, 403, 404}, (attempt, response.status_code, response.text[:200])
    assert facts(desk) == before


@pytest.mark.usefixtures("foreign")
def test_another_providers_messages_do_not_change_a_betslip(desk: Desk) -> None:
    """They are taken: the same id may be another betslip of its own brand."""
    of_ann = "/v1/betslips/of-ann/"
    before = desk.ok("ann", "GET", of_ann)
    slip = {"betslip_id": "of-ann", "customer_username": "ann", "is_open": False}
    new = {"betslip_id": "new", "customer_username": "ann", "is_open": True}
    closed = {"betslip_id": "of-ann", "close_reason": "timeout"}
    for message in (["betslip", slip], ["betslip", new], ["betslip_closed", closed]):
        reply = desk.world.post(
            "/betslips/messages", {"ts": 2, "data": [message]}, headers=headers_of(desk, "nordbet", "")
        )
        assert reply.status == 200
    assert desk.ok("ann", "GET", of_ann) == before
    assert [one["betslip_id"] for one in desk.ok("ann", "GET", "/v1/betslips/")] == ["of-ann"]


def test_a_list_of_customers_has_none_of_others(desk: Desk) -> None:
    every = ",".join(map(str, range(1, 12)))
    found = desk.ok("boss", "GET", f"/v1/customers/?customer_ids={every}")
    assert {row["username"] for row in found} == {"ann", "bob", "boss"}


def test_every_field_of_a_request_is_a_value_or_tried() -> None:
    covered = {"customer_ids", "data"}.union(*(one.fields for one in attempts(Foreign(*map(str, range(10))))))  # type: ignore[arg-type]
    fields = {name for operation in OPERATIONS for name in _fields(operation.facts)}
    assert fields == NAMING | VALUES
    assert covered == NAMING
    assert not NAMING & VALUES


def _fields(operation: dict[str, Any]) -> Iterator[str]:
    """Yield the names of a request's fields and query parameters, at every depth."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _fields_of(content["schema"])
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            yield parameter["name"]


def _fields_of(schema: dict[str, Any]) -> Iterator[str]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference:
        yield from _fields_of(specification()["components"]["schemas"][reference])
    for part in [*schema.get("oneOf", ()), *schema.get("anyOf", ()), *schema.get("allOf", ())]:
        yield from _fields_of(part)
    yield from _fields_of(schema["items"]) if "items" in schema else ()
    for name, field in schema.get("properties", {}).items():
        yield name
        yield from _fields_of(field)
