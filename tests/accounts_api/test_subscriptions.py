"""Subscriptions: created, activated, renewed, cancelled, expired at midnight, and their history."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from tests.accounts_api.client import AccountClient
from wallet_hooks.accounts_api.subscriptions import expiry
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.customers.profiles import change_profile
from wallet_hooks.database import writing

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@contextmanager
def bound_values() -> Iterator[list[int]]:
    """Collect the number of values that each statement binds."""
    counts: list[int] = []

    def count(_connection: Any, _cursor: Any, _statement: str, values: Any, *_: Any) -> None:
        counts.append(len(values))

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield counts
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@given(st.datetimes(timezones=st.just(UTC), max_value=datetime(2900, 1, 1)), st.integers(1, 36_500))  # noqa: DTZ001
def test_a_subscription_ends_at_the_first_midnight_at_or_after_its_length(start: datetime, days: int) -> None:
    end = expiry(start, days)
    assert end is not None
    assert (end.hour, end.minute, end.second, end.microsecond) == (0, 0, 0, 0)
    assert timedelta(0) <= end - (start + timedelta(days=days)) < timedelta(days=1)


def test_life_of_a_subscription(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        key, delayed = each.new_keys("bob", "app")
        token = each.ok(
            "getApplicationSubscriptionToken", who="bob", key=key, subscriptionLength=2, clientReference="C1"
        )
        (listed,) = each.ok("listApplicationSubscriptionTokens", who="bob", key=delayed)
        assert listed == {
            "subscriptionToken": token,
            "createdDateTime": "2026-11-20T12:00:00.000Z",
            "expiryDateTime": "2026-11-23T00:00:00.000Z",
            "subscriptionStatus": "UNACTIVATED",
            "clientReference": "C1",
        }
        frozen.tick(timedelta(hours=1))
        assert each.ok("activateApplicationSubscription", key=key, subscriptionToken=token) == "SUCCESS"
        client_id = each.ok("getVendorClientId", key=key)
        (listed,) = each.ok("listApplicationSubscriptionTokens", who="bob", key=key, subscriptionStatus="ACTIVATED")
        assert (listed["vendorClientId"], listed["activationDateTime"]) == (client_id, "2026-11-20T13:00:00.000Z")
        (of_account,) = each.ok("listAccountSubscriptionTokens")
        assert (of_account["applicationName"], of_account["applicationVersionId"]) == ("app", "1")
        assert [one["subscriptionStatus"] for one in of_account["subscriptionTokens"]] == ["ACTIVATED"]

        renewal = {"who": "bob", "key": key, "vendorClientId": client_id, "subscriptionLength": 10}
        assert each.ok("updateApplicationSubscription", **renewal) == token
        history = {"who": "bob", "key": key, "vendorClientId": client_id}
        (row,) = each.ok("getApplicationSubscriptionHistory", **history)
        assert row["expiryDateTime"] == "2026-12-01T00:00:00.000Z"

        frozen.move_to("2026-11-30T23:59:59Z")
        each._tokens.clear()
        (row,) = each.ok("getApplicationSubscriptionHistory", **history)
        assert row["subscriptionStatus"] == "ACTIVATED"
        frozen.move_to("2026-12-01T00:00:00Z")
        (row,) = each.ok("getApplicationSubscriptionHistory", **history)
        assert (row["subscriptionStatus"], row["expiredDateTime"]) == ("EXPIRED", "2026-12-01T00:00:00.000Z")
        assert each.code("updateApplicationSubscription", **renewal) == "SUBSCRIPTION_EXPIRED"
        assert each.code("cancelApplicationSubscription", key=key, subscriptionToken=token) == "SUBSCRIPTION_EXPIRED"
        assert each.ok("getApplicationSubscriptionHistory", applicationKey=key) == [row]
        assert each.ok("getApplicationSubscriptionHistory", who="eve", applicationKey=key) == []


def test_tokens_are_activated_once_by_anybody_and_only_for_their_application(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        key, _ = each.new_keys("bob", "app")
        other, _ = each.new_keys("bob", "other")

        def activate(token: str, who: str = "ann", key: str = key) -> str | None:
            return each.code("activateApplicationSubscription", who=who, key=key, subscriptionToken=token)

        def new_token(**given: Any) -> str:
            return str(each.ok("getApplicationSubscriptionToken", who="bob", key=key, **given))

        token = new_token()
        assert activate(token, key=other) == "INVALID_SUBSCRIPTION_TOKEN"
        assert activate("unknown") == "INVALID_SUBSCRIPTION_TOKEN"
        assert activate(token) is None
        assert activate(token) == activate(token, who="eve") == "INVALID_SUBSCRIPTION_TOKEN"
        cancelled = new_token()
        each.ok("cancelApplicationSubscription", who="bob", key=key, subscriptionToken=cancelled)
        assert activate(cancelled) == "INVALID_SUBSCRIPTION_TOKEN"
        expired = new_token(subscriptionLength=1)
        frozen.move_to("2026-11-22T00:00:00Z")
        each._tokens.clear()
        assert activate(expired) == "INVALID_SUBSCRIPTION_TOKEN"


def test_an_applications_tokens_are_filtered_by_their_status(each: AccountClient) -> None:
    with freeze_time(NOON) as frozen:
        key, _ = each.new_keys("bob", "app")

        def new_token(days: int | None = None, *, activated: bool = False, cancelled: bool = False) -> str:
            token = str(each.ok("getApplicationSubscriptionToken", who="bob", key=key, subscriptionLength=days))
            if activated:
                each.ok("activateApplicationSubscription", key=key, subscriptionToken=token)
            if cancelled:
                each.ok("cancelApplicationSubscription", who="bob", key=key, subscriptionToken=token)
            return token

        expected = {
            "UNACTIVATED": [new_token(), new_token(days=3)],
            "ACTIVATED": [new_token(activated=True), new_token(days=3, activated=True)],
            "CANCELLED": [new_token(days=1, cancelled=True), new_token(activated=True, cancelled=True)],
            "EXPIRED": [new_token(days=1), new_token(days=1, activated=True)],
        }
        frozen.move_to("2026-11-22T00:00:00Z")
        each._tokens.clear()
        client_id = each.ok("getVendorClientId", key=key)
        everything = each.ok("listApplicationSubscriptionTokens", who="bob", key=key, subscriptionStatus="ALL")
        assert [one["subscriptionToken"] for one in everything] == [one for some in expected.values() for one in some]
        for status, tokens in expected.items():
            listed = each.ok("listApplicationSubscriptionTokens", who="bob", key=key, subscriptionStatus=status)
            assert [(one["subscriptionToken"], one["subscriptionStatus"]) for one in listed] == [
                (token, status) for token in tokens
            ]
            clients = [one.get("vendorClientId") for one in listed]
            assert clients == [client_id if "activationDateTime" in one else None for one in listed]


@pytest.mark.parametrize(
    ("operation", "who"), [("listApplicationSubscriptionTokens", "bob"), ("listAccountSubscriptionTokens", "ann")]
)
def test_listing_tokens_binds_as_many_values_whatever_their_number(
    client: AccountClient, operation: str, who: str
) -> None:
    """PostgreSQL takes 65,535 at most."""

    keys = [client.new_keys("bob", f"app {number}")[0] for number in range(8)]

    def most() -> int:
        with bound_values() as counts:
            client.ok(operation, who=who, key=keys[0])
        return max(counts)

    def subscribe(who: str, key: str) -> None:
        token = client.ok("getApplicationSubscriptionToken", who="bob", key=key)
        client.ok("activateApplicationSubscription", who=who, key=key, subscriptionToken=token)

    subscribe("ann", keys[0])
    before = most()
    for other in ("bob", "eve", "boss"):
        subscribe(other, keys[0])
    for key in keys:
        subscribe("ann", key)
    assert most() == before


def test_either_side_cancels_and_nobody_else(each: AccountClient) -> None:
    key, _ = each.new_keys("bob", "app")
    for canceller in ("ann", "bob"):
        token = each.ok("getApplicationSubscriptionToken", who="bob", key=key)
        each.ok("activateApplicationSubscription", key=key, subscriptionToken=token)
        given = {"key": key, "subscriptionToken": token}
        assert each.code("cancelApplicationSubscription", who="eve", **given) == "INVALID_SUBSCRIPTION_TOKEN"
        assert each.ok("cancelApplicationSubscription", who=canceller, **given) == "SUCCESS"
        assert each.code("cancelApplicationSubscription", who=canceller, **given) == "INVALID_SUBSCRIPTION_TOKEN"
    listed = each.ok("listApplicationSubscriptionTokens", who="bob", key=key, subscriptionStatus="CANCELLED")
    assert len(listed) == 2
    assert all("cancellationDateTime" in one for one in listed)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"subscriptionLength": 0}, "INVALID_INPUT_DATA"),
        ({"subscriptionLength": -1}, "INVALID_INPUT_DATA"),
        ({"subscriptionLength": 36_501}, "INVALID_INPUT_DATA"),
        ({"subscriptionLength": 2**31}, "DSC-0044"),
        ({"subscriptionLength": 1.5}, "DSC-0044"),
        ({"subscriptionLength": "1 day"}, "DSC-0044"),
        ({"clientReference": "x" * 101}, "INVALID_CLIENT_REF"),
        ({"clientReference": "x" * 2000}, "INVALID_CLIENT_REF"),
        ({"clientReference": "a\x00b"}, "INVALID_CLIENT_REF"),
        ({"clientReference": 1}, "DSC-0044"),
    ],
)
def test_invalid_lengths_and_references_are_refused(
    each_shared: AccountClient, given: dict[str, Any], code: str
) -> None:
    key = each_shared.key("bob")
    assert each_shared.code("getApplicationSubscriptionToken", who="bob", key=key, **given) == code
    assert each_shared.desk.world.count("application_subscription") == 0


def test_the_active_subscription_counts_whichever_came_last(each: AccountClient) -> None:
    key, _, _ = each.new_vendor("bob", "app", subscription_required=True)
    first, second = (each.ok("getApplicationSubscriptionToken", who="bob", key=key) for _ in range(2))
    for token in (first, second):
        each.ok("activateApplicationSubscription", key=key, subscriptionToken=token)
    each.ok("cancelApplicationSubscription", key=key, subscriptionToken=second)
    given = {"vendorClientId": each.ok("getVendorClientId", key=key), "subscriptionLength": 1}
    assert each.ok("updateApplicationSubscription", who="bob", key=key, **given) == first
    assert each.code("getAccountFunds", key=key) is None


@pytest.mark.parametrize(
    ("first", "second", "renewed"), [(9, 2, "first"), (2, 9, "second"), (None, 9, "first"), (9, None, "second")]
)
def test_of_two_active_subscriptions_the_one_that_expires_last_is_renewed(
    client: AccountClient, first: int | None, second: int | None, renewed: str
) -> None:
    key, _ = client.new_keys("bob", "app")
    tokens = {}
    for name, days in (("first", first), ("second", second)):
        given = {"who": "bob", "key": key, "subscriptionLength": days}
        tokens[name] = client.ok("getApplicationSubscriptionToken", **given)
        client.ok("activateApplicationSubscription", key=key, subscriptionToken=tokens[name])
    given = {"vendorClientId": client.ok("getVendorClientId", key=key), "subscriptionLength": 30}
    assert client.ok("updateApplicationSubscription", who="bob", key=key, **given) == tokens[renewed]


def test_a_client_id_is_its_owners_alone(each: AccountClient) -> None:
    key, _ = each.new_keys("bob", "app")
    others, _ = each.new_keys("eve", "other")
    mine = each.ok("getVendorClientId", key=key)
    assert each.ok("getVendorClientId", key=key) == mine
    assert each.ok("getVendorClientId", key=others) != mine
    for vendor_client in (mine, "", "x", "9" * 30):
        given = {"who": "eve", "key": others, "vendorClientId": vendor_client}
        assert each.code("updateApplicationSubscription", subscriptionLength=1, **given) == "INVALID_VENDOR_CLIENT_ID"
        assert each.code("getApplicationSubscriptionHistory", **given) == "INVALID_VENDOR_CLIENT_ID"
    given = {"who": "bob", "key": key, "vendorClientId": mine, "subscriptionLength": 1}
    assert each.code("updateApplicationSubscription", **given) == "INVALID_VENDOR_CLIENT_ID"  # not subscribed


def test_a_client_names_the_application_of_its_history(each: AccountClient) -> None:
    assert each.code("getApplicationSubscriptionHistory") == "NO_APP_KEY"
    assert each.code("getApplicationSubscriptionHistory", applicationKey="unknown") == "INVALID_APP_KEY"


def test_affiliates_are_customers_whom_the_owner_referred(each: AccountClient) -> None:
    key, _ = each.new_keys("bob", "app")
    with writing(each.desk.world.engine) as session:
        bob = customer_by_username(session, "bob")
        change_profile(session, customer_by_username(session, "ann"), {"referred_by_id": bob.id})
    ann, eve = (each.ok("getVendorClientId", who=who, key=key) for who in ("ann", "eve"))
    ids = [eve, "x", ann, "1", ann]
    answer = each.ok("getAffiliateRelation", who="bob", key=key, vendorClientIds=ids)
    assert [(one["vendorClientId"], one["status"]) for one in answer] == [
        (eve, "NOT_AFFILIATED"), ("x", "INVALID_USER"), (ann, "AFFILIATED"), ("1", "INVALID_USER"), (ann, "AFFILIATED"),
    ]  # fmt: skip
    assert each.ok("getAffiliateRelation", who="bob", key=key, vendorClientIds=[]) == []
    too_many = ["1"] * 101
    assert each.code("getAffiliateRelation", who="bob", key=key, vendorClientIds=too_many) == "INVALID_INPUT_DATA"
    for wrong in ([1], [None], [["1"]], [1] * 100):
        assert each.code("getAffiliateRelation", who="bob", key=key, vendorClientIds=wrong) == "DSC-0044"
    assert each.code("getAffiliateRelation", who="bob", key=key, vendorClientIds="1") == "DSC-0044"


def test_a_list_is_counted_before_its_elements_are_read(each: AccountClient) -> None:
    """A body can have half a million elements, and reading them takes seconds; the login is checked after that."""
    for elements in (["1"] * 100 + [1], [None] * 101):
        assert each.code("getAffiliateRelation", who=None, vendorClientIds=elements) == "INVALID_INPUT_DATA"
