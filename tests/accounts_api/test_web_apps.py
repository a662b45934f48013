"""Vendors' web applications: authorisation code, access token, refreshing, revoking, and stolen codes."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.accounts_api.client import AccountClient
from wallet_hooks import clock
from wallet_hooks.accounts_api import web_apps
from wallet_hooks.database import writing

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Vendor:
    """A vendor's application of bob, and its calls of `token`."""

    def __init__(self, client: AccountClient, name: str = "app", **options: Any) -> None:
        self.client = client
        self.key, self.id, self.secret = client.new_vendor("bob", name, **options)

    def code(self, who: str = "ann") -> str:
        return str(self.client.ok("getAuthorisationCode", who=who, vendorId=self.id)["authorisationCode"])

    def request(self, grant_type: str = "AUTHORIZATION_CODE", **given: Any) -> dict[str, Any]:
        shared = {"who": None, "key": self.key, "client_id": self.id, "client_secret": self.secret}
        return {**shared, "grant_type": grant_type, **given}

    def tokens(self, code: str) -> dict[str, Any]:
        return dict(self.client.ok("token", **self.request(code=code)))

    def funds(self, access_token: str, **given: Any) -> str | None:
        headers = {"Authorization": f"BEARER {access_token}", "X-Application": given.pop("key", self.key)}
        return self.client.code("getAccountFunds", headers=headers, **given)


def test_a_customer_gives_access_and_takes_it_back(each: AccountClient) -> None:
    vendor = Vendor(each)
    details = each.ok("getVendorDetails", vendorId=vendor.id)
    assert details == {"appVersionId": 1, "vendorName": "app", "redirectUrl": "https://vendor.example/back"}
    assert each.ok("getAuthorisationCode", vendorId=vendor.id)["redirectUrl"] == details["redirectUrl"]
    tokens = vendor.tokens(vendor.code())
    assert (tokens["token_type"], tokens["expires_in"]) == ("BEARER", 43_200)
    assert tokens["application_subscription"] == {
        "subscriptionToken": "",
        "vendorClientId": each.ok("getVendorClientId", key=vendor.key),
    }
    assert vendor.funds(tokens["access_token"]) is None
    assert each.ok("listAuthorizedWebApps") == [details]
    assert each.ok("isAccountSubscribedToWebApp", vendorId=vendor.id) is True
    assert each.ok("isAccountSubscribedToWebApp", who="eve", vendorId=vendor.id) is False

    for vendor_id in (int(vendor.id), vendor.id, int(vendor.id)):
        assert each.ok("revokeAccessToWebApp", vendorId=vendor_id) == "SUCCESS"
    assert vendor.funds(tokens["access_token"]) == "INVALID_SESSION_INFORMATION"
    refresh = vendor.request("REFRESH_TOKEN", refresh_token=tokens["refresh_token"])
    assert each.code("token", **refresh) == "INVALID_GRANT_TYPE"
    assert each.ok("listAuthorizedWebApps") == []
    assert each.ok("isAccountSubscribedToWebApp", vendorId=vendor.id) is False


def test_an_access_token_reads_money_and_does_nothing_else(client: AccountClient) -> None:
    vendor = Vendor(client)
    token = vendor.tokens(vendor.code())["access_token"]
    headers = {"Authorization": f"BEARER {token}", "X-Application": vendor.key}
    for operation in ("getAccountFunds", "getAccountDetails", "getAccountStatement", "listCurrencyRates"):
        assert client.code(operation, headers=headers) is None
    given = {"from": "UK", "to": "AUSTRALIAN", "amount": 1}
    assert client.code("transferFunds", headers=headers, **given) == "NO_SESSION"
    assert client.code("getDeveloperAppKeys", headers=headers) == "NO_SESSION"
    other = Vendor(client, "other")
    assert vendor.funds(token, key=other.key) == "INVALID_SESSION_INFORMATION"
    assert client.code("getAccountFunds", headers={"Authorization": f"BEARER {token}"}) == "NO_APP_KEY"


def test_access_tokens_and_codes_expire(client: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        vendor = Vendor(client)
        late, code = vendor.code(), vendor.code()
        tokens = vendor.tokens(code)
        frozen.tick(timedelta(minutes=10))
        assert client.code("token", **vendor.request(code=late)) == "INVALID_AUTH_CODE"
        frozen.tick(timedelta(hours=11, minutes=49))
        assert vendor.funds(tokens["access_token"]) is None
        frozen.tick(timedelta(minutes=1))
        assert vendor.funds(tokens["access_token"]) == "INVALID_SESSION_INFORMATION"
        refreshed = client.ok("token", **vendor.request("REFRESH_TOKEN", refresh_token=tokens["refresh_token"]))
        assert vendor.funds(refreshed["access_token"]) is None


def test_a_code_that_is_used_again_revokes_what_it_gave(each: AccountClient) -> None:
    vendor = Vendor(each)
    code = vendor.code()
    tokens = vendor.tokens(code)
    assert each.code("token", **vendor.request(code=code)) == "INVALID_AUTH_CODE"
    assert vendor.funds(tokens["access_token"]) == "INVALID_SESSION_INFORMATION"


def test_a_refresh_token_that_is_used_again_ends_its_family(each: AccountClient) -> None:
    vendor = Vendor(each)
    first = vendor.tokens(vendor.code())
    second = each.ok("token", **vendor.request("REFRESH_TOKEN", refresh_token=first["refresh_token"]))
    assert vendor.funds(first["access_token"]) == "INVALID_SESSION_INFORMATION"
    assert vendor.funds(second["access_token"]) is None
    again = vendor.request("REFRESH_TOKEN", refresh_token=first["refresh_token"])
    assert each.code("token", **again) == "INVALID_GRANT_TYPE"
    assert vendor.funds(second["access_token"]) == "INVALID_SESSION_INFORMATION"
    third = vendor.request("REFRESH_TOKEN", refresh_token=second["refresh_token"])
    assert each.code("token", **third) == "INVALID_GRANT_TYPE"


def test_codes_are_refused_to_another_vendor(each: AccountClient) -> None:
    vendor, other = Vendor(each), Vendor(each, "other")
    code = vendor.code()
    assert each.code("token", **other.request(code=code)) == "INVALID_AUTH_CODE"
    assert each.code("token", **vendor.request(code="unknown")) == "INVALID_AUTH_CODE"
    tokens = vendor.tokens(code)
    foreign = other.request("REFRESH_TOKEN", refresh_token=tokens["refresh_token"])
    assert each.code("token", **foreign) == "INVALID_GRANT_TYPE"
    as_code = vendor.request(code=tokens["refresh_token"])
    assert each.code("token", **as_code) == "INVALID_AUTH_CODE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, "INVALID_SECRET"),
        ({"client_id": "999"}, "INVALID_APP_KEY"),
        ({"code": None}, "INVALID_GRANT_TYPE"),
        ({"code": None, "refresh_token": "r"}, "INVALID_GRANT_TYPE"),
        ({"grant_type": "REFRESH_TOKEN"}, "INVALID_GRANT_TYPE"),
        ({"grant_type": "REFRESH_TOKEN", "refresh_token": "r"}, "INVALID_GRANT_TYPE"),
        ({"grant_type": "authorization_code"}, "DSC-0044"),
        ({"grant_type": None}, "DSC-0018"),
        ({"client_secret": None}, "DSC-0018"),
    ],
)
def test_what_is_wrong_with_a_request_for_tokens_is_named(
    each: AccountClient, changes: dict[str, Any], code: str
) -> None:
    vendor = Vendor(each)
    assert each.code("token", **(vendor.request(code=vendor.code()) | changes)) == code
    assert each.desk.world.count("web_app_token") == 0


def test_a_required_subscription_comes_before_a_code_and_with_the_tokens(each: AccountClient) -> None:
    vendor = Vendor(each, subscription_required=True)
    assert each.code("getAuthorisationCode", vendorId=vendor.id) == "USER_NOT_SUBSCRIBED"
    token = each.ok("getApplicationSubscriptionToken", who="bob", key=vendor.key)
    each.ok("activateApplicationSubscription", key=vendor.key, subscriptionToken=token)
    subscription = vendor.tokens(vendor.code())["application_subscription"]
    assert (subscription["subscriptionToken"], subscription["subscriptionStatus"]) == (token, "ACTIVATED")


@pytest.mark.parametrize("vendor_id", ["", "x", "0", "99", "-1", "9" * 30])
def test_unknown_vendors_are_refused(each_shared: AccountClient, vendor_id: str) -> None:
    each_shared.key("bob")  # of no vendor
    for operation in ("getVendorDetails", "getAuthorisationCode", "isAccountSubscribedToWebApp"):
        assert each_shared.code(operation, vendorId=vendor_id) == "INVALID_INPUT_DATA"
    assert each_shared.code("getVendorDetails", vendorId="1") == "INVALID_INPUT_DATA"
    assert each_shared.code("revokeAccessToWebApp", vendorId=99) == "INVALID_INPUT_DATA"
    for wrong in ("²", "٣", "1.5", "", True, 2**63):
        assert each_shared.code("revokeAccessToWebApp", vendorId=wrong) == "DSC-0044"


def test_an_id_with_zeros_before_it_is_no_vendors(client: AccountClient) -> None:
    vendor = Vendor(client)
    assert client.code("getVendorDetails", vendorId=vendor.id) is None
    for operation in ("getVendorDetails", "getAuthorisationCode", "isAccountSubscribedToWebApp"):
        assert client.code(operation, vendorId=f"0{vendor.id}") == "INVALID_INPUT_DATA"


def test_secrets_codes_and_tokens_are_stored_as_hashes(client: AccountClient) -> None:
    vendor = Vendor(client)
    code = vendor.code()
    tokens = vendor.tokens(code)
    stored = ""
    with client.desk.world.engine.connect() as connection:
        for table in ("application", "authorisation_code", "web_app_token", "web_app_grant"):
            stored += repr(connection.execute(text(f"SELECT * FROM {table}")).all())
    for secret in (vendor.secret, code, tokens["access_token"], tokens["refresh_token"]):
        assert secret not in stored


def test_a_customer_who_may_not_log_in_gives_no_access(client: AccountClient) -> None:
    vendor = Vendor(client)
    code, tokens = vendor.code(), vendor.tokens(vendor.code())
    client.desk.world.change_customer("7", locked=True)
    assert vendor.funds(tokens["access_token"]) == "INVALID_SESSION_INFORMATION"
    assert client.code("token", **vendor.request(code=code)) == "INVALID_AUTH_CODE"
    client.desk.world.change_customer("7", locked=False)
    assert vendor.tokens(code)["token_type"] == "BEARER"  # the code was not used up


def test_a_revocation_waits_for_a_code_that_is_being_used(client: AccountClient) -> None:
    vendor = Vendor(client)
    code = vendor.code()
    engine = client.desk.world.engine
    with ThreadPoolExecutor(1) as pool:
        with writing(engine) as session:
            grant = web_apps.use_code(session, int(vendor.id), code, now=clock.now())
            assert grant is not None
            session.flush()
            revoking = pool.submit(client.ok, "revokeAccessToWebApp", vendorId=vendor.id)
            time.sleep(0.3)
            assert not revoking.done()
        assert revoking.result(10) == "SUCCESS"
    assert client.ok("isAccountSubscribedToWebApp", vendorId=vendor.id) is False


def test_a_code_stays_known_while_its_grant_stands(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        vendor = Vendor(each)
        code = vendor.code()
        tokens = vendor.tokens(code)
        frozen.tick(timedelta(minutes=11))
        vendor.code()
        assert each.code("token", **vendor.request(code=code)) == "INVALID_AUTH_CODE"
        assert vendor.funds(tokens["access_token"]) == "INVALID_SESSION_INFORMATION"


def test_an_owner_needs_no_subscription_to_its_own_application(each: AccountClient) -> None:
    vendor = Vendor(each, subscription_required=True)
    assert each.code("getAuthorisationCode", who="bob", vendorId=vendor.id) is None


def test_an_owner_changes_where_customers_are_sent(client: AccountClient) -> None:
    vendor = Vendor(client)
    path, other = f"/v1/vendors/{vendor.id}/", {"redirect_url": "https://other.example/back"}
    (listed,) = client.desk.ok("bob", "GET", "/v1/vendors/")
    assert (listed["vendor_id"], listed["redirect_url"]) == (vendor.id, "https://vendor.example/back")
    assert client.desk.call("eve", "PATCH", path, other).status == 404
    for url in ("ftp://a.example/", "https://", "https://a b.example/", "x" * 501, ""):
        assert client.desk.call("bob", "PATCH", path, {"redirect_url": url}).status == 400
    assert client.desk.ok("bob", "GET", "/v1/vendors/") == [listed]
    assert client.desk.ok("bob", "PATCH", path, other) == listed | other
    assert client.ok("getAuthorisationCode", vendorId=vendor.id)["redirectUrl"] == other["redirect_url"]
