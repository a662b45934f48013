"""Every route requires authentication, except routes without data of customers."""

import re
import time
from typing import Any

import pytest

from tests.desk import Desk
from tests.world import OK, World, bet
from wallet_hooks import clock

LOGINS = {("POST", "/v1/sessions"): 400, ("GET", "/console/login"): 200, ("POST", "/console/login"): 401}
CONSOLE = "/console"  # lands on the login page: see console/test_access.py
ACCOUNT_API = ("/exchange/", "/api/")  # has its own error codes: see accounts_api/test_access.py
STATIC = "/console/static/<path:file>"
OPEN = {"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"}


def test_every_route_refuses_unauthenticated_requests(world: World) -> None:
    for rule in world.app.url_map.iter_rules():
        if rule.rule in (*OPEN, STATIC) or rule.rule.startswith(ACCOUNT_API):
            continue
        path = re.sub("<[^>]*>", "1", rule.rule.replace("<version>", "v1"))
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            given: dict[str, Any] = {"data": {"username": "x"}} if rule.rule.startswith(CONSOLE) else {"json": {}}
            response = world.client.open(path, method=method, environ_base={"REMOTE_ADDR": "203.0.113.9"}, **given)
            expected = LOGINS.get((method, rule.rule), 303 if rule.rule.startswith(CONSOLE) else 401)
            assert response.status_code == expected, f"{method} {rule.rule}"
    assert world.count("wager") == 0


@pytest.mark.parametrize(
    "path",
    ["/bets", "/v1/sessions", "/v1/customers/ann/deposits", "/exchange/account/json-rpc/v1",
     "/exchange/account/rest/v1.0/getAccountFunds", "/finance/exports/journal.csv", "/betslips/messages"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["PUT", "OPTIONS"])
def test_a_wrong_method_is_405_in_the_apis_envelope_with_and_without_a_slash(
    shared_world: World, method: str, path: str
) -> None:
    for each in (path, f"{path}/"):
        answer = shared_world.client.open(each, method=method)
        assert (answer.status_code, answer.is_json, len(answer.headers["X-Request-Id"])) == (405, True, 32), each
        assert "POST" in answer.headers["Allow"] or "GET" in answer.headers["Allow"]
    assert shared_world.client.open(f"{path}//").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/customers/"),
        ("POST", "/v1/sessions/"),
        ("GET", "/api/keepAlive"),
        ("POST", "/api/login"),
        ("POST", "/exchange/account/rest/v1.0/token/"),
        ("GET", "/finance/exports/journal.csv"),
        ("GET", "/console/"),
        ("POST", "/bets"),
        ("GET", "/unknown"),
    ],
)
def test_what_is_for_one_caller_is_not_stored_by_caches(shared_world: World, method: str, path: str) -> None:
    answer = shared_world.client.open(path, method=method)
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


def test_open_routes_have_no_parameters_and_are_read_only(world: World) -> None:
    rules = [rule for rule in world.app.url_map.iter_rules() if rule.rule in OPEN]
    assert {rule.rule for rule in rules} == OPEN
    for rule in rules:
        assert (rule.methods or set()) <= {"GET", "HEAD", "OPTIONS"}
        assert not rule.arguments
        assert world.client.get(rule.rule).status_code == 200


def test_readiness_reports_an_outdated_schema(world: World) -> None:
    from sqlalchemy import text  # noqa: PLC0415

    with world.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    response = world.client.get("/readyz")
    assert response.status_code == 503
    status = response.get_json()["status"]
    assert re.fullmatch(r"database at migration 0001, code at \d{4}: run wallet-hooks db upgrade", status)


def test_metrics_count_callbacks_and_show_open_stakes(world: World) -> None:
    world.place(bet())
    world.place(bet(10, "1000.00"))
    text = world.client.get("/metrics").text
    assert 'wallet_hooks_callbacks_total{path="/bets",status="200"}' in text
    assert 'wallet_hooks_refusals_total{code="insufficient_funds"}' in text
    assert 'wallet_hooks_open_stakes_minor_units{currency="EUR"} 1000' in text
    assert "wallet_hooks_group_size_count" in text


def test_api_documents_have_every_callback_and_load_nothing_external(world: World) -> None:
    document = world.client.get("/openapi.json").json
    assert document is not None
    assert document["openapi"] == "3.1.0"
    for path in ("/bets", "/winners", "/bets/cancel"):
        post = document["paths"][path]["post"]
        assert set(post["responses"]) >= {"200", "400", "401", "402", "403", "409", "411", "413", "415", "503"}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
    schema = document["components"]["schemas"]["PlaceBets"]
    assert schema["required"] == ["bets"]
    taken, known = (document["components"]["schemas"][name]["properties"]["uid"] for name in ("Stake", "Result"))
    for id_, is_taken in {"9": True, "9 1": True, " 9": False, "9 ": False, " ": False, "\u00a09": False}.items():
        assert bool(re.search(taken["oneOf"][0]["pattern"], id_)) == is_taken
    assert "pattern" not in known["oneOf"][0]
    page = world.client.get("/docs")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for path in ("/bets", "/winners", "/bets/cancel"):
        assert path in page.text


def test_head_is_answered_like_get(desk: Desk) -> None:
    session, player = {"Session": desk.token("boss")}, {"x-auth-token": desk.token("ann")}
    for path, headers in (
        ("/v1/customers/", session),
        ("/v1/customers/ann/accounting_info/", session),
        ("/gateway/limits/v1/player/limits/1007", player),
        ("/gateway/limits/v1/meta-data/1007/EUR", player),
        ("/finance/exports/journal.csv", {"Authorization": f"Bearer {desk.api_token('finance')}"}),
    ):
        assert desk.world.client.get(path, headers=headers).status_code == 200
        assert desk.world.client.head(path, headers=headers, buffered=True).status_code == 200


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "1969-12-31", "soon", ""])
def test_a_test_clock_out_of_range_is_ignored(world: World, sent: str) -> None:
    world.configure(debug=True, test_clock=True)
    for _ in range(2):
        assert world.post("/bets", {"bets": [bet()]}, headers={"X-Test-Clock": sent}) == OK
    assert world.client.get("/gateway/limits/v1/player/limits/1007", headers={"X-Test-Clock": sent}).status_code == 401
    assert clock.now().year == clock.wall_clock().year


def test_a_test_clock_without_an_offset_is_utc_wherever_the_service_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.configure(debug=True, test_clock=True)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with clock.restored_wall_clock():
            answer = world.client.get("/healthz", headers={"X-Test-Clock": "2026-11-20T12:00:00"})
    finally:
        monkeypatch.undo()
        time.tzset()
    assert answer.headers["X-Test-Clock"] == "2026-11-20T12:00:00+00:00"
