"""Nobody sees or changes what is not theirs: every call under /v1, by every kind of caller."""

import re
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.desk import Desk
from wallet_hooks.customers.groups import add_manager, customer_by_username
from wallet_hooks.customers.models import Group
from wallet_hooks.database import writing

OF_ANN = "/v1/customers/ann"
NEW = {"username": "zoe", "password": "passw0rd1", "ccy_code": "EUR"}
PAY = {"method": "card", "amount": ["EUR", 1], "reference": "P1"}

# (method, path, body) → status for each of CALLERS: nobody, Ann herself, Bob of her group, her manager, the manager of
# another group, and the manager of another brand's. In this order: later rows see what earlier ones did.
TABLE: list[tuple[str, str, Any, tuple[int, int, int, int, int, int]]] = [
    ("GET", f"{OF_ANN}/", None, (401, 200, 404, 200, 404, 404)),
    ("PATCH", f"{OF_ANN}/", {"name": "Ann"}, (401, 403, 404, 200, 404, 404)),
    ("PATCH", f"{OF_ANN}/", {"password": "passw0rd2"}, (401, 403, 404, 200, 404, 404)),
    ("GET", f"{OF_ANN}/can_place_bets/", None, (401, 200, 404, 403, 404, 404)),
    ("GET", f"{OF_ANN}/bookie_accounts/", None, (401, 200, 404, 200, 404, 404)),
    ("POST", f"{OF_ANN}/bookie_accounts_preview/", {"tag_rules": []}, (401, 403, 404, 200, 404, 404)),
    ("GET", f"{OF_ANN}/accounting_info/", None, (401, 200, 404, 200, 404, 404)),
    ("GET", f"{OF_ANN}/credit_limit_history/", None, (401, 200, 404, 200, 404, 404)),
    ("POST", f"{OF_ANN}/deposits/", PAY, (401, 403, 404, 200, 404, 404)),
    ("POST", f"{OF_ANN}/withdrawals/", PAY, (401, 403, 404, 200, 404, 404)),
    ("POST", f"{OF_ANN}/deposits/1/confirm/", None, (401, 403, 404, 404, 404, 404)),
    ("POST", f"{OF_ANN}/deposits/1/fail/", None, (401, 403, 404, 404, 404, 404)),
    ("POST", f"{OF_ANN}/adjustments/", PAY | {"reason": "x"}, (401, 403, 403, 403, 403, 403)),
    ("POST", f"{OF_ANN}/bookie_accounts/kick_balance/", {"account_id": 1}, (401, 404, 404, 404, 404, 404)),
    ("POST", "/v1/customers/", NEW | {"group_id": "desk"}, (401, 403, 403, 200, 403, 403)),
    ("POST", "/v1/customers/", NEW | {"group_id": 999}, (401, 403, 403, 403, 403, 403)),
    ("GET", "/v1/customers/", None, (401, 200, 200, 200, 200, 200)),
    ("GET", "/v1/groups/", None, (401, 200, 200, 200, 200, 200)),
    ("POST", "/v1/groups/", {"name": "new"}, (401, 403, 403, 200, 400, 200)),
    ("GET", "/v1/groups/{desk}/bookie_accounts/", None, (401, 403, 403, 200, 403, 403)),
    ("POST", "/v1/groups/{desk}/managers/", {"username": "eve"}, (401, 403, 403, 404, 403, 403)),
    ("DELETE", "/v1/groups/{desk}/managers/boss/", None, (401, 403, 403, 400, 403, 403)),
    ("GET", "/v1/betslips/", None, (401, 200, 200, 200, 200, 200)),
    ("GET", "/v1/betslips/<betslip_id>/", None, (401, 404, 404, 404, 404, 404)),
    ("GET", "/v1/vendors/", None, (401, 200, 200, 200, 200, 200)),
    ("PATCH", "/v1/vendors/1/", {"redirect_url": "https://a.example/"}, (401, 404, 404, 404, 404, 404)),
]
CALLERS = (None, "ann", "bob", "boss", "rival", "freja")


def test_access_of_each_caller_to_each_route(desk: Desk) -> None:
    for number, (method, template, body, statuses) in enumerate(TABLE):
        path = template.format(desk=desk.group)
        if body and body.get("group_id") == "desk":
            body |= {"group_id": desk.group}
        key = {"Idempotency-Key": f"k{number}"}
        answers = {who: desk.call(who, method, path, body, headers=dict(key)) for who in CALLERS}
        assert tuple(answers[who].status for who in CALLERS) == statuses, (method, path)
        assert all((answer.body["status"] == "ok") == (answer.status == 200) for answer in answers.values())
        if statuses[-1] == 404 and "/ann/" in path:
            nobody = desk.call("freja", method, path.replace("ann", "nobody"), body, headers=dict(key))
            assert nobody.status == 404, "whom a caller may not see looks like somebody who is not there"


def test_every_route_of_the_protocol_is_in_the_table(desk: Desk) -> None:
    named = {(method, path.replace("ann", "x").replace("{desk}", "1")) for method, path, *_ in TABLE}
    for rule in desk.world.app.url_map.iter_rules():
        rule_path = f"{rule.rule}/"
        if rule_path.startswith("/v1/") and not rule_path.startswith(("/v1/sessions/", "/v1/stream/")):
            path = rule_path.replace("<username>", "x" if "/customers/" in rule_path else "boss")
            path = re.sub("<int[^>]*>", "1", path)
            for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
                assert (method, path) in named, f"{method} {rule.rule}"


def test_a_list_has_the_caller_and_the_customers_of_its_groups(desk: Desk) -> None:
    for who, seen in {"ann": {"ann"}, "boss": {"boss", "ann", "bob"}, "rival": {"rival", "eve"}}.items():
        assert {row["username"] for row in desk.ok(who, "GET", "/v1/customers/")} == seen


def test_a_manager_shares_a_group_and_leaves_it(desk: Desk) -> None:
    managers = f"/v1/groups/{desk.group}/managers/"
    for _ in range(2):
        desk.ok("boss", "POST", managers, {"username": "ann"})
    assert desk.call("ann", "GET", "/v1/customers/bob/").status == 200
    desk.ok("ann", "DELETE", f"{managers}boss/")
    assert desk.call("boss", "GET", "/v1/customers/bob/").status == 404
    for username in ("boss", "freja", "nobody"):
        assert desk.call("ann", "DELETE", f"{managers}{username}/").status == 404
    assert desk.call("ann", "DELETE", f"{managers}ann/").body["code"] == "last_manager"


def test_nobody_raises_his_own_limits_or_pays_himself(desk: Desk) -> None:
    boss = "/v1/customers/boss"
    assert desk.call("boss", "PATCH", f"{boss}/", {"credit_limit": ["EUR", 10**6]}).status == 403
    for path in ("deposits", "withdrawals"):
        assert desk.call("boss", "POST", f"{boss}/{path}/", PAY, headers={"Idempotency-Key": path}).status == 403
    assert desk.world.balance("1") == "100.00"


def test_managers_of_one_group_cannot_raise_each_others_limits(desk: Desk) -> None:
    desk.ok("boss", "POST", "/v1/customers/", NEW | {"group_id": desk.group})
    desk.ok("boss", "POST", f"/v1/groups/{desk.group}/managers/", {"username": "zoe"})
    assert desk.call("zoe", "PATCH", "/v1/customers/boss/", {"credit_limit": ["EUR", 10**6]}).status == 403
    assert desk.ok("boss", "GET", "/v1/customers/boss/")["credit_limit"] == ["EUR", 0]


RESTRICTIONS = (
    {"credit_limit": ["EUR", 99], "credit_limit_comment": "less"},
    {"credit_limit": ["EUR", 99]},
    {"max_stake_per_event": ["EUR", 9]},
    {"expires_at": "2098-12-31"},
    {"locked": True},
    {"active": False},
)
EXTENSIONS: tuple[dict[str, Any], ...] = (
    {"credit_limit": ["EUR", 101]},
    {"max_stake_per_event": ["EUR", 11]},
    {"max_stake_per_event": None},
    {"expires_at": "2099-12-31"},
    {"expires_at": None},
    {"locked": False},
    {"active": True},
    {"password": "taken0ver"},
    {"username": "rivale"},
    {"name": "Rival"},
    {"commission_rate": {"date_from": "2026-01-01", "rate_pc": 1}},
    {"roles": {"bet_placer": True}},
    {"group_id": Desk.group},
    {"locked": True, "credit_limit": ["EUR", 101]},
)


@pytest.fixture
def rival(desk: Desk) -> str:
    """The path of a customer in boss's group that manages another group."""
    with writing(desk.world.engine) as session:
        customer = customer_by_username(session, "rival")
        customer.group_id, customer.credit_limit, customer.max_stake_per_event = desk.group, 100_00, 10_00
        customer.expires_at = datetime(2099, 1, 1, tzinfo=UTC)
    return "/v1/customers/rival/"


def test_a_manager_can_restrict_a_customer_that_manages_a_group(desk: Desk, rival: str) -> None:
    for change in RESTRICTIONS:
        assert desk.call("boss", "PATCH", rival, change).status == 200, change


def test_a_manager_cannot_extend_the_rights_of_a_customer_that_manages_a_group(desk: Desk, rival: str) -> None:
    with writing(desk.world.engine) as session:
        add_manager(session, session.get_one(Group, desk.other_group), customer_by_username(session, "boss"))
    before = desk.ok("boss", "GET", rival)
    for change in EXTENSIONS:
        assert desk.call("boss", "PATCH", rival, change).status == 403, change
    assert desk.ok("boss", "GET", rival) == before


def test_payments_of_a_customer_that_manages_groups_are_made_by_a_manager_of_all_of_them(
    desk: Desk, rival: str
) -> None:
    def pay(kind: str) -> int:
        return desk.call("boss", "POST", f"{rival}{kind}/", PAY, headers={"Idempotency-Key": kind}).status

    assert [pay("deposits"), pay("withdrawals")] == [403, 403]
    with writing(desk.world.engine) as session:
        add_manager(session, session.get_one(Group, desk.other_group), customer_by_username(session, "boss"))
    assert [pay("deposits"), pay("withdrawals")] == [200, 200]


def test_a_customer_moves_only_between_groups_of_its_manager(desk: Desk) -> None:
    for group_id in (desk.other_group, desk.foreign_group, 999):
        assert desk.call("boss", "PATCH", f"{OF_ANN}/", {"group_id": group_id}).status == 403
    own = desk.ok("boss", "POST", "/v1/groups/", {"name": "second"})["id"]
    assert desk.ok("boss", "PATCH", f"{OF_ANN}/", {"group_id": own})["group_id"] == own
    assert desk.call("boss", "GET", f"{OF_ANN}/").status == 200


def test_api_tokens_do_what_their_role_and_brand_allow(desk: Desk) -> None:
    cashier, finance = desk.api_token("cashier"), desk.api_token("finance", "acme")
    elsewhere = desk.api_token("cashier", "nordbet")
    adjustment = PAY | {"reason": "goodwill", "reference": "A1"}
    del adjustment["method"]
    for token, path, body, status in (
        (cashier, "deposits", PAY, 200),
        (cashier, "adjustments", adjustment, 403),
        (finance, "adjustments", adjustment, 200),
        (finance, "deposits", PAY, 403),
        (elsewhere, "deposits", PAY, 404),
        ("whk_unknown", "deposits", PAY, 401),
    ):
        headers = {"Idempotency-Key": path}
        reply = desk.call(f"token:{token}", "POST", f"{OF_ANN}/{path}/", body, headers=headers)
        assert reply.status == status, (path, reply)
    assert desk.call(f"token:{cashier}", "GET", f"{OF_ANN}/").status == 401


def test_a_customer_who_may_not_log_in_may_not_call(desk: Desk) -> None:
    for change in ({"active": False}, {"locked": True}, {"expires_at": "2020-01-01"}):
        token = {"Session": desk.token("ann")}
        assert desk.call(None, "GET", f"{OF_ANN}/", headers=dict(token)).status == 200
        desk.ok("boss", "PATCH", f"{OF_ANN}/", change)
        assert desk.call(None, "GET", f"{OF_ANN}/", headers=dict(token)).status == 401
        desk.ok("boss", "PATCH", f"{OF_ANN}/", {"active": True, "locked": False, "expires_at": None})
        # Who was turned off begins anew; where only a date was moved, the session lives on.
        status = 200 if "expires_at" in change else 401
        assert desk.call(None, "GET", f"{OF_ANN}/", headers=dict(token)).status == status


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, "x", 415, "unsupported_media_type"),
        ({"Content-Type": "application/json"}, "{", 400, "validation_error"),
        ({"Content-Type": "application/json"}, "[]", 400, "validation_error"),
        ({"Content-Type": "application/json"}, '{"name":1}', 400, "validation_error"),
        ({"Content-Type": "application/json"}, '{"name":"a","name":"b"}', 400, "validation_error"),
        ({"Content-Type": "application/json"}, '{"nmae":"a"}', 400, "validation_error"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "name=a&name=b", 400, "validation_error"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "name=%ff", 400, "validation_error"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "active=yes", 400, "validation_error"),
    ],
)
def test_invalid_bodies_are_answered_in_the_envelope(
    shared_desk: Desk, headers: dict[str, str], body: str, status: int, code: str
) -> None:
    reply = shared_desk.call("boss", "PATCH", f"{OF_ANN}/", body, headers=headers, content_type=headers["Content-Type"])
    assert (reply.status, reply.body["status"], reply.body["code"]) == (status, "error", code)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers/a%00b/",
        "/v1/customers/a%0Ab/accounting_info/",
        "/v1/customers/%ff/",
        f"/v1/groups/{2**63}/bookie_accounts/",
        f"/v1/groups/{'9' * 400}/bookie_accounts/",
        f"/v1/customers/{'x' * 3000}/",
    ],
)
def test_an_invalid_name_in_a_path_is_not_found(desk: Desk, path: str) -> None:
    assert desk.call("boss", "GET", path).status == 404


def test_a_large_body_is_not_read(desk: Desk) -> None:
    reply = desk.call("eve", "POST", f"{OF_ANN}/bookie_accounts_preview/", {"tag_rules": [{}] * 30_000})
    assert (reply.status, reply.body["code"]) == (413, "body_too_large")
    reply = desk.call("eve", "POST", f"{OF_ANN}/bookie_accounts_preview/", {"tag_rules": [{}] * 10_000})
    assert reply.body["data"] == {"tag_rules": ["Longer than maximum length 100."]}


def test_a_database_error_is_logged_without_its_values(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "-".join(("a", "hash"))

    def break_in_the_database(session: Session, *_args: object, **_kwargs: object) -> None:
        session.execute(text("SELEKT :hash"), {"hash": secret})

    monkeypatch.setattr("wallet_hooks.customers.routes.change_customer", break_in_the_database)
    log = Mock()
    monkeypatch.setattr("wallet_hooks.web.causes.LOG", log)
    assert desk.call("boss", "PATCH", f"{OF_ANN}/", {"name": "x"}).status == 500
    logged = str(log.error.call_args)
    assert "break_in_the_database" in logged
    assert secret not in logged


def test_unknown_paths_and_methods_are_answered_in_the_envelope(desk: Desk) -> None:
    assert desk.call("boss", "GET", "/v1/nothing/") == (404, {"status": "error", "code": "not_found", "data": {}})
    assert desk.call("boss", "DELETE", f"{OF_ANN}/").body["code"] == "method_not_allowed"
