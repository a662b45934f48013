"""Which session and application key each operation requires, and the error codes where they are missing or wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.accounts_api.client import AccountClient
from wallet_hooks.accounts_api.operations import OPERATIONS_BY_NAME
from wallet_hooks.accounts_api.vendors import set_key_active
from wallet_hooks.database import writing

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
UNKNOWN = "x" * 16
# Parameters with which an operation is well formed, whatever it finds.
GIVEN: dict[str, dict[str, Any]] = {
    "createDeveloperAppKeys": {"appName": "another"},
    "transferFunds": {"from": "UK", "to": "AUSTRALIAN", "amount": 1},
    "activateApplicationSubscription": {"subscriptionToken": "t"},
    "cancelApplicationSubscription": {"subscriptionToken": "t"},
    "updateApplicationSubscription": {"vendorClientId": "1", "subscriptionLength": 1},
    "getAuthorisationCode": {"vendorId": "1"},
    "token": {"client_id": "1", "grant_type": "AUTHORIZATION_CODE", "code": "c", "client_secret": "s"},
    "getVendorDetails": {"vendorId": "1"},
    "revokeAccessToWebApp": {"vendorId": 1},
    "isAccountSubscribedToWebApp": {"vendorId": "1"},
    "getAffiliateRelation": {"vendorClientIds": []},
}
MONEY = ["getAccountFunds", "transferFunds", "getAccountDetails", "getAccountStatement", "listCurrencyRates"]
OWNERS = [
    "getApplicationSubscriptionToken", "updateApplicationSubscription", "listApplicationSubscriptionTokens",
    "getAffiliateRelation",
]  # fmt: skip
CLIENTS = ["getVendorClientId", "activateApplicationSubscription", "cancelApplicationSubscription"]
WITHOUT_KEY = [
    "createDeveloperAppKeys", "getDeveloperAppKeys", "listAccountSubscriptionTokens", "getVendorDetails",
    "getAuthorisationCode", "revokeAccessToWebApp", "listAuthorizedWebApps", "isAccountSubscribedToWebApp",
]  # fmt: skip
WITH_SESSION = [*MONEY, *OWNERS, *CLIENTS, *WITHOUT_KEY, "getApplicationSubscriptionHistory"]
_ACCESS_CODES = {
    "NO_SESSION", "INVALID_SESSION_INFORMATION", "NO_APP_KEY", "INVALID_APP_KEY", "USER_NOT_SUBSCRIBED",
    "SUBSCRIPTION_EXPIRED",
}  # fmt: skip


def given(operation: str) -> dict[str, Any]:
    return GIVEN.get(operation, {})


def test_every_operation_is_in_the_tables() -> None:
    assert {name.lower() for name in [*WITH_SESSION, "token"]} == set(OPERATIONS_BY_NAME)


def test_sessions_are_required(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    for operation in WITH_SESSION:
        assert each.code(operation, who=None, key=key, **given(operation)) == "NO_SESSION", operation
        headers = {"X-Authentication": "unknown", "X-Application": key}
        code = each.code(operation, headers=headers, **given(operation))
        assert code == "INVALID_SESSION_INFORMATION", operation


def test_expired_sessions_are_refused(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        key, _ = each.new_keys("ann", "app")
        assert each.code("getAccountFunds", key=key) is None
        frozen.tick(timedelta(seconds=each.desk.world.settings.session_idle))
        for operation in WITH_SESSION:
            assert each.code(operation, key=key, **given(operation)) == "INVALID_SESSION_INFORMATION", operation


def test_the_sessions_of_a_locked_customer_are_refused(client: AccountClient) -> None:
    client.desk.world.change_customer("7", locked=True)
    bobs, _ = client.new_keys("bob", "bob's")
    headers = {"X-Authentication": client.desk.token("ann"), "X-Application": bobs}
    assert client.code("getAccountFunds", headers=headers) == "INVALID_SESSION_INFORMATION"


def test_keys_are_required(each: AccountClient) -> None:
    for operation in [*MONEY, *OWNERS, *CLIENTS, "token"]:
        who = None if operation == "token" else "ann"
        assert each.code(operation, who=who, **given(operation)) == "NO_APP_KEY", operation
        for key in (UNKNOWN, "a b", "x" * 300):
            assert each.code(operation, who=who, key=key, **given(operation)) == "INVALID_APP_KEY", operation


def test_inactive_keys_are_refused(client: AccountClient) -> None:
    active, delayed = client.new_keys("ann", "app")
    with writing(client.desk.world.engine) as session:
        set_key_active(session, active, is_active=False)
    assert client.code("getAccountFunds", key=active) == "INVALID_APP_KEY"
    assert client.code("getAccountFunds", key=delayed) is None
    (app,) = client.ok("getDeveloperAppKeys")
    assert [version["active"] for version in app["appVersions"]] == [False, True]


def test_operations_without_a_key_ignore_it(client: AccountClient) -> None:
    for operation in WITHOUT_KEY:
        assert client.code(operation, key=UNKNOWN, **given(operation)) not in _ACCESS_CODES, operation


def test_owners_operations_refuse_the_key_of_another(each: AccountClient) -> None:
    key, _ = each.new_keys("bob", "app")
    for operation in [*OWNERS, "getApplicationSubscriptionHistory"]:
        assert each.code(operation, key=key, **given(operation)) == "INVALID_APP_KEY", operation


def test_a_required_subscription_is_checked_where_money_is_read_or_moved(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        key, _, _ = each.new_vendor("bob", "app", subscription_required=True)
        for operation in MONEY:
            assert each.code(operation, key=key, **given(operation)) == "USER_NOT_SUBSCRIBED", operation
        assert each.code("getAccountFunds", who="bob", key=key) is None  # its owner needs none
        for operation in CLIENTS:
            assert each.code(operation, key=key, **given(operation)) not in _ACCESS_CODES, operation
        token = each.ok("getApplicationSubscriptionToken", who="bob", key=key, subscriptionLength=1)
        each.ok("activateApplicationSubscription", key=key, subscriptionToken=token)
        for operation in MONEY:
            assert each.code(operation, key=key, **given(operation)) is None, operation
        frozen.move_to(NOON + timedelta(hours=36))
        each._tokens.clear()
        for operation in MONEY:
            assert each.code(operation, key=key, **given(operation)) == "SUBSCRIPTION_EXPIRED", operation
        token = each.ok("getApplicationSubscriptionToken", who="bob", key=key)
        each.ok("activateApplicationSubscription", key=key, subscriptionToken=token)
        each.ok("cancelApplicationSubscription", key=key, subscriptionToken=token)
        for operation in MONEY:
            assert each.code(operation, key=key, **given(operation)) == "USER_NOT_SUBSCRIBED", operation


def test_one_login_works_in_all_apis(client: AccountClient) -> None:
    key, _ = client.new_keys("ann", "app")
    token = client.token("ann")
    web = client.desk.world.client
    assert web.get("/v1/customers/ann/", headers={"Session": token}).status_code == 200
    assert web.get("/gateway/limits/v1/player/limits/1007", headers={"x-auth-token": token}).status_code == 200
    assert client.code("getAccountFunds", headers={"X-Authentication": token, "X-Application": key}) is None


@pytest.mark.parametrize("operation", MONEY)
def test_a_cap_on_operations_is_kept(each: AccountClient, operation: str) -> None:
    key, _ = each.new_keys("ann", "app")
    each.desk.world.configure(accounts_operations_per_second=2)
    with freeze_time(NOON) as frozen:
        each._tokens.clear()
        codes = [each.code(operation, key=key, **given(operation)) for _ in range(3)]
        assert codes == [None, None, "TOO_MANY_REQUESTS"]
        assert each.code("getAccountFunds", who="bob", key=key) is None
        frozen.tick(timedelta(seconds=1))
        assert each.code(operation, key=key, **given(operation)) is None
