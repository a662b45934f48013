"""The customers' API: its calls with their parameters, defaults, bounds and results."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from freezegun import freeze_time
from psycopg.errors import SerializationFailure

from tests.desk import Desk
from tests.world import OK, bet
from wallet_hooks import clock
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.customers.service import NewCustomer, change_customer, create_customers
from wallet_hooks.database import reading, writing
from wallet_hooks.identity.models import Brand

ROLES = ("customer", "bet_placer", "group_spy", "trade_page_viewer", "detailed_accounting", "account_viewer")
OF_ANN = "/v1/customers/ann/"


def create(desk: Desk, **given: Any) -> Any:
    body = {"username": "zoe", "password": "passw0rd1", "group_id": desk.group, "ccy_code": "GBP"} | given
    return desk.call("boss", "POST", "/v1/customers/", body)


@pytest.mark.parametrize("zone", ["Europe/London", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_dates_at_both_ends_of_the_calendar(desk: Desk, zone: str) -> None:
    """The last day often stands for never."""
    with writing(desk.world.engine) as session:
        session.get_one(Brand, 1007).timezone = zone
    assert create(desk, expires_at="9999-12-31").body["data"]["expires_at"] == "9999-12-31T23:59:59.999999+00:00"
    for sent in ("9999-12-31", "9999-12-30", "9999-12-31T23:59:59.999999Z"):
        kept = desk.ok("boss", "PATCH", OF_ANN, {"expires_at": sent})["expires_at"]
        assert desk.ok("boss", "GET", OF_ANN)["expires_at"] == kept
        assert desk.ok("ann", "GET", f"{OF_ANN}can_place_bets/")["country"] is None
        assert desk.world.place(bet(sent, "1.00")) == OK
    for sent in ("0001-01-01", "0001-01-01T00:00:00Z"):
        kept = desk.ok("boss", "PATCH", OF_ANN, {"expires_at": sent})["expires_at"]
        assert desk.ok("boss", "GET", OF_ANN)["expires_at"] == kept
        assert desk.world.place(bet(f"{sent} 2", "1.00")).body == {"error": "customer_expired"}
    for sent in ("9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "10000-01-01", "0000-01-01"):
        assert desk.call("boss", "PATCH", OF_ANN, {"expires_at": sent}).status == 400


def test_a_form_clears_what_may_be_null_with_an_empty_field(desk: Desk) -> None:
    desk.ok("boss", "PATCH", OF_ANN, {"expires_at": "2100-01-01"})
    form = {"content_type": "application/x-www-form-urlencoded"}
    assert desk.ok("boss", "PATCH", OF_ANN, "expires_at=", **form)["expires_at"] is None
    assert desk.ok("boss", "PATCH", OF_ANN, "name=", **form)["name"] == "", "a text that may not be null stays as sent"
    desk.ok("boss", "PATCH", OF_ANN, {"max_stake_per_event": ["EUR", 5]})
    assert desk.ok("boss", "PATCH", OF_ANN, "max_stake_per_event=", **form)["max_stake_per_event"] is None


def test_a_customer_with_the_defaults(desk: Desk) -> None:
    data = create(desk).body["data"]
    assert data == {
        "id": data["id"],
        "uid": "zoe",
        "username": "zoe",
        "name": "",
        "group_id": desk.group,
        "ccy_code": "GBP",
        "roles": {role: role == "customer" for role in ROLES},
        "credit_limit": ["GBP", 0],
        "max_stake_per_event": None,
        "commission_rate": None,
        "commission_rates": [],
        "active": True,
        "locked": False,
        "lock_reason": None,
        "expires_at": None,
        "last_login": None,
    }
    assert desk.ok("boss", "GET", "/v1/customers/zoe/") == data


def test_a_customer_with_everything(desk: Desk) -> None:
    given = {
        "name": "Zoë",
        "roles": {"customer": True, "bet_placer": True, "group_spy": False},
        "credit_limit": ["GBP", 15000.0],
        "credit_limit_comment": "Credit limit set by agent",
        "max_stake_per_event": ["GBP", 0.01],
        "commission_rate": {"date_from": "2014-03-24", "rate_pc": 0.25},
        "active": False,
        "locked": True,
        "expires_at": "2030-01-01T00:00:00+00:00",
    }
    with freeze_time("2014-03-24T18:48:58.006352Z"):
        data = create(desk, **given).body["data"]
    given["roles"] = {role: role in ("customer", "bet_placer") for role in ROLES}
    given["max_stake_per_event"], given["commission_rate"] = (
        ["GBP", Decimal("0.01")],
        {"date_from": "2014-03-24", "rate_pc": Decimal("0.25")},
    )
    comment = given.pop("credit_limit_comment")
    assert {key: data[key] for key in given} == given
    # The source's sample, to the letter.
    assert desk.ok("boss", "GET", "/v1/customers/zoe/credit_limit_history/") == [
        {"amount": 15000, "ccy_code": "GBP", "timestamp": "2014-03-24T18:48:58.006352+00:00", "comment": comment}
    ]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"password": "short1"}, "bad_password"),
        ({"password": "onlyletters"}, "bad_password"),
        ({"password": "12345678"}, "bad_password"),
        ({"username": "zo e"}, "bad_username"),
        ({"username": "zoë"}, "bad_username"),
        ({"username": "ann"}, "conflict"),
        ({"username": "ANN"}, "conflict"),
        ({"username": ""}, "username"),
        ({"uid": "7"}, "conflict"),
        ({"uid": 7}, "conflict"),
        ({"uid": 7.5}, "uid"),
        ({"uid": -7}, "uid"),
        ({"uid": True}, "uid"),
        ({"uid": ""}, "uid"),
        ({"ccy_code": "XXZ"}, "validation_error"),
        ({"ccy_code": "gbp"}, "validation_error"),
        ({"uid": " 77"}, "uid"),
        ({"uid": "77 "}, "uid"),
        ({"group_id": "1"}, "group_id"),
        ({"group_id": -1}, "group_id"),
        ({"group_id": 1.5}, "group_id"),
        ({"roles": {"bet_placer": True}}, "bad_roles"),
        ({"roles": {"customer": False}}, "roles"),
        ({"roles": {"customer": True, "admin": True}}, "roles"),
        ({"roles": {"customer": "true"}}, "roles"),
        ({"roles": ["customer"]}, "roles"),
        ({"credit_limit": ["EUR", 1]}, "wrong_currency"),
        ({"credit_limit": ["ZZZ", 1]}, "credit_limit"),
        ({"credit_limit": ["GBP", -1]}, "credit_limit"),
        ({"credit_limit": ["GBP", "1"]}, "credit_limit"),
        ({"credit_limit": ["GBP", 0.001]}, "credit_limit"),
        ({"credit_limit": ["GBP", 1e19]}, "credit_limit"),
        ({"credit_limit": ["GBP"]}, "credit_limit"),
        ({"credit_limit": ["GBP", 1, 2]}, "credit_limit"),
        ({"credit_limit": {"GBP": 1}}, "credit_limit"),
        ({"credit_limit": None}, "credit_limit"),
        ({"max_stake_per_event": ["GBP", -0.5]}, "max_stake_per_event"),
        ({"commission_rate": {"date_from": "2020-01-01", "rate_pc": 101}}, "commission_rate"),
        ({"commission_rate": {"date_from": "2020-01-01", "rate_pc": -1}}, "commission_rate"),
        ({"commission_rate": {"date_from": "2020-13-01", "rate_pc": 1}}, "commission_rate"),
        ({"commission_rate": {"rate_pc": 1}}, "commission_rate"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"active": "yes"}, "active"),
        ({"locked": 1}, "locked"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_invalid_fields_are_named_and_create_nobody(shared_desk: Desk, given: dict[str, Any], where: str) -> None:
    before = shared_desk.world.count("customer")
    reply = create(shared_desk, **given)
    assert (reply.status, reply.body["status"]) == (400, "error")
    assert where == reply.body["code"] or where in reply.body["data"], reply.body
    assert shared_desk.world.count("customer") == before


def test_missing_fields_are_named(desk: Desk) -> None:
    data = desk.call("boss", "POST", "/v1/customers/", {}).body["data"]
    assert set(data) == {"username", "password", "group_id", "ccy_code"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("1e18", "1000000000000000000.00"),
        ("1000000000000000000", "1000000000000000000.00"),
        ("999999999999999999.99", "999999999999999999.99"),
        ("0.30", "0.30"),
        ("3e-1", "0.30"),
        ("15000.000", "15000.00"),
        ("0", "0.00"),
    ],
)
def test_amounts_are_exact_in_json_numbers_both_ways(desk: Desk, sent: str, kept: str) -> None:
    for field in ("credit_limit", "max_stake_per_event"):
        data = desk.ok("boss", "PATCH", OF_ANN, f'{{"{field}":["EUR",{sent}]}}')
        assert str(data[field][1]) == kept
    assert str(desk.ok("boss", "GET", f"{OF_ANN}credit_limit_history/")[0]["amount"]) == kept


def test_a_patch_changes_what_it_names_and_nothing_else(desk: Desk) -> None:
    before = desk.ok("boss", "GET", OF_ANN)
    assert desk.ok("boss", "PATCH", OF_ANN, {}) == before
    changed = desk.ok("boss", "PATCH", OF_ANN, {"roles": {"group_spy": True}, "name": "Ann"})
    assert changed == before | {"roles": before["roles"] | {"group_spy": True}, "name": "Ann"}
    changed = desk.ok("boss", "PATCH", OF_ANN, {"max_stake_per_event": ["EUR", 5], "username": "anna"})
    assert changed["max_stake_per_event"] == ["EUR", 5]
    assert desk.ok("boss", "PATCH", "/v1/customers/anna/", {"max_stake_per_event": None, "username": "ann"}) == (
        before | {"roles": before["roles"] | {"group_spy": True}, "name": "Ann"}
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"ccy_code": "GBP"}, "currency_fixed"),
        ({"username": "bob"}, "conflict"),
        ({"username": "Bob"}, "conflict"),
        ({"credit_limit_comment": "why"}, "comment_without_limit"),
        ({"credit_limit": ["USD", 5]}, "wrong_currency"),
        ({"password": "x"}, "bad_password"),
    ],
)
def test_an_invalid_patch_changes_nothing(desk: Desk, given: dict[str, Any], code: str) -> None:
    before = desk.ok("boss", "GET", OF_ANN)
    reply = desk.call("boss", "PATCH", OF_ANN, given | {"name": "new"})
    assert (reply.status, reply.body["code"]) == (400, code)
    assert desk.ok("boss", "GET", OF_ANN) == before


def test_commission_rates_are_dated(desk: Desk) -> None:
    with freeze_time("2026-03-28T12:00:00Z") as moment:
        for day, rate in (("2026-03-30", 2.5), ("2026-03-01", 1), ("2026-03-29", 2)):
            desk.ok("boss", "PATCH", OF_ANN, {"commission_rate": {"date_from": day, "rate_pc": rate}})
        for instant, rate in (("2026-03-28T23:59:59Z", 1), ("2026-03-29T00:00:00Z", 2), ("2026-03-29T23:00:00Z", 2.5)):
            moment.move_to(instant)  # the last one is midnight in London's summer
            assert desk.ok("boss", "GET", OF_ANN)["commission_rate"]["rate_pc"] == rate
            assert desk.ok("boss", "GET", f"{OF_ANN}accounting_info/")[-1]["value"] == rate


def test_a_date_of_expiry_is_the_last_day_where_the_brand_is(desk: Desk) -> None:
    for sent, kept in {
        "2026-07-01": "2026-07-01T23:00:00+00:00",
        "2026-12-31": "2027-01-01T00:00:00+00:00",
        "2026-07-01T12:00:00+02:00": "2026-07-01T10:00:00+00:00",
        "2026-07-01T12:00": "2026-07-01T12:00:00+00:00",
    }.items():
        assert desk.ok("boss", "PATCH", OF_ANN, {"expires_at": sent})["expires_at"] == kept


def test_two_changes_of_a_credit_limit_at_once_are_both_kept_and_the_last_counts(desk: Desk) -> None:
    tokens = [{"Session": desk.token("boss")} for _ in range(10)]

    def change(number: int) -> int:
        body = {"credit_limit": ["EUR", number], "credit_limit_comment": str(number)}
        return desk.call(None, "PATCH", OF_ANN, body, headers=tokens[number]).status

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(change, range(10))) == [200] * 10
    history = desk.ok("ann", "GET", f"{OF_ANN}credit_limit_history/")
    assert sorted(int(row["comment"]) for row in history) == list(range(10))
    assert desk.ok("ann", "GET", OF_ANN)["credit_limit"] == ["EUR", history[-1]["amount"]]


def test_a_list_leaves_out_what_was_not_requested(desk: Desk) -> None:
    desk.ok("boss", "PATCH", OF_ANN, {"active": False, "roles": {"bet_placer": True, "account_viewer": True}})
    rows = {row["username"]: row for row in desk.ok("boss", "GET", "/v1/customers/?permissions=true")}
    assert rows["ann"]["permissions"] == ["place_bets", "see_bookie_usernames", "kick_balance"]
    assert "manage_groups" in rows["boss"]["permissions"]
    assert "last_login" in rows["bob"]
    assert "permissions" not in desk.ok("boss", "GET", "/v1/customers/")[0]
    assert "last_login" not in desk.ok("boss", "GET", "/v1/customers/?last_login=false")[0]
    ids = {row["username"]: row["id"] for row in rows.values()}
    for query, names in {
        "inactive=false": {"boss", "bob"},
        f"customer_ids={ids['bob']},{ids['ann']},99999": {"ann", "bob"},
        f"customer_ids={ids['ann']}&inactive=false": set(),
    }.items():
        assert {row["username"] for row in desk.ok("boss", "GET", f"/v1/customers/?{query}")} == names
    for query in ("inactive=no", "last_login=1", "permissions=", "customer_ids=x", "customer_ids=", "limit=-1"):
        assert desk.call("boss", "GET", f"/v1/customers/?{query}").status == 400


def test_a_list_pages_and_streams(desk: Desk) -> None:
    with writing(desk.world.engine) as session:
        new = [NewCustomer(uid=f"x{n}", username=f"x{n}", currency="EUR", group_id=desk.group) for n in range(2500)]
        create_customers(session, session.get_one(Brand, 1007), new, now=clock.now())
    response = desk.world.client.get("/v1/customers/", headers={"Session": desk.token("boss")}, buffered=False)
    chunks = list(response.iter_encoded())
    assert len(chunks) >= 3, "it is sent as it is read"
    whole = desk.ok("boss", "GET", "/v1/customers/")
    assert len(whole) == 2503
    paged, after = [], 0
    while after is not None:
        reply = desk.call("boss", "GET", f"/v1/customers/?limit=700&after={after}")
        paged += reply.body["data"]
        after = reply.body["next"]
    assert paged == whole


def test_groups_sum_up_their_customers(desk: Desk) -> None:
    desk.ok("boss", "PATCH", OF_ANN, {"credit_limit": ["EUR", 1e18]})
    create(desk, ccy_code="JPY", credit_limit=["JPY", 500])
    assert desk.ok("boss", "GET", "/v1/groups/") == [
        {
            "id": desk.group,
            "name": "desk",
            "ccy_code": "EUR",
            "customers": 4,
            "balance": ["EUR", 300],
            "credit_limit": ["EUR", 10**18],
            "balances": [["EUR", 300], ["JPY", 0]],
            "credit_limits": [["EUR", 10**18], ["JPY", 500]],
        }
    ]


def test_usernames_raced_for_are_given_once(desk: Desk) -> None:
    tokens = [{"Session": desk.token("boss")} for _ in range(4)]
    body = {"username": "zoe", "password": "passw0rd1", "group_id": desk.group, "ccy_code": "GBP"}
    with ThreadPoolExecutor(4) as pool:
        calls = pool.map(lambda headers: desk.call(None, "POST", "/v1/customers/", body, headers=headers), tokens)
        statuses = sorted(reply.status for reply in calls)
    assert statuses == [200, 400, 400, 400]
    with reading(desk.world.engine) as session:
        assert customer_by_username(session, "zoe").currency == "GBP"


def test_a_call_that_is_run_again_after_a_conflict_has_its_body_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Any] = []

    def meet_another_transaction(*args: Any, **kwargs: Any) -> None:
        runs.append(args)
        if len(runs) == 1:
            raise SerializationFailure
        change_customer(*args, **kwargs)

    monkeypatch.setattr("wallet_hooks.customers.routes.change_customer", meet_another_transaction)
    desk.ok("boss", "PATCH", "/v1/customers/ann/", {"name": "Anna"})
    assert len(runs) == 2
    assert desk.ok("boss", "GET", "/v1/customers/ann/")["name"] == "Anna"
