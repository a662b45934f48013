"""Who may sign in, what each role sees and does, and what protects a session."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from freezegun import freeze_time
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.console.staff import PASSWORD, Browser, add_staff, csrf_token, signed_in
from tests.test_commands import Shell
from tests.world import World, bet, result
from wallet_hooks.console.routes import PAGES
from wallet_hooks.console.visits import COOKIE, PERMISSIONS
from wallet_hooks.database import reading, writing
from wallet_hooks.identity import passwords

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
_FILLED = {
    "<client>": "acme",
    "<game>": "betflex",
    "<whole:uid>": "9",
    "<uid>": "7",
    "<id_>": "1",
    "<report>": "journal",
}


def _path(path: str) -> str:
    for name, value in {**_FILLED, "<file>": "x"}.items():
        path = path.replace(name, value)
    return f"/console{path}"


def test_who_is_not_signed_in_lands_on_the_login_page(world: World) -> None:
    for page in PAGES:
        response = world.client.open(_path(page.path), method=page.method, data={"reason": "x"})
        assert response.status_code == 303, page
        assert response.headers["Location"].startswith("/console/login")
    assert 'name="username"' in world.client.get("/console/", follow_redirects=True).text


def test_an_action_after_the_session_ended_says_that_nothing_was_done(world: World) -> None:
    page = "/console/exceptions/1?x=1"
    answer = world.client.post(
        "/console/exceptions/1/comment", headers={"Referer": f"http://localhost{page}"}, follow_redirects=True
    )
    assert "Your session had ended: nothing was done." in answer.text
    assert f'name="next" value="{page}"' in answer.text


@pytest.mark.parametrize("role", ["operations", "finance", "qa"])
def test_each_role_may_do_exactly_its_part(world: World, role: str) -> None:
    browser = signed_in(world, role)
    for page in PAGES:
        if page.path == "/logout":
            continue
        response = browser.client.open(_path(page.path), method=page.method)
        is_allowed = page.permission in PERMISSIONS[role]
        # An action without its form is refused too, but for another reason.
        assert ("may not do this" in response.text) != is_allowed, (page, response.status_code)
        assert is_allowed or response.status_code == 403


def test_permissions_are_those_that_the_roles_are_promised() -> None:
    assert PERMISSIONS["operations"] == {"see", "replay", "reconcile", "decide"}
    assert PERMISSIONS["finance"] == PERMISSIONS["operations"] - {"replay"}
    assert PERMISSIONS["qa"] == {"see", "replay"}
    needed = {(page.method, page.path): page.permission for page in PAGES if page.permission != "see"}
    wager = "/wagers/<client>/<game>/<whole:uid>"
    assert needed == {
        ("POST", "/deliveries/<id_>/replay"): "replay",
        **dict.fromkeys([("GET", "/reconciliation"), ("POST", "/reconciliation")], "reconcile"),
        **dict.fromkeys([("GET", "/reconciliation/<id_>"), ("GET", "/reconciliation/<id_>/breaks.csv")], "reconcile"),
        **dict.fromkeys([("POST", "/ledger/close"), ("POST", "/ledger/reopen")], "decide"),
        **dict.fromkeys([("POST", "/exceptions/<id_>/comment"), ("POST", "/exceptions/<id_>/resolve")], "decide"),
        **dict.fromkeys([("POST", f"{wager}/resettle"), ("POST", f"{wager}/decide")], "decide"),
    }


def test_a_part_of_a_page_is_replaced_by_the_form_to_sign_in(world: World) -> None:
    """A page that loads more rows after its session ended would show nothing."""
    answer = world.client.get("/console/exceptions?after=1", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/console/login?next=%2Fconsole%2Fexceptions%3Fafter%3D1"


def test_signing_in_again_ends_the_session_before(world: World) -> None:
    browser = signed_in(world, "qa")
    before = browser.client.get_cookie(COOKIE, path="/console")
    assert before is not None
    browser.sign_in("qa")
    other = world.app.test_client(use_cookies=False)
    assert other.get("/console/", headers={"Cookie": f"{COOKIE}={before.value}"}).status_code == 303
    assert browser.get("/console/").status_code == 200


@pytest.mark.parametrize("name", ["(command line)", "op\u200berations", "a\u202eb"])
def test_a_name_that_looks_like_another_is_refused(world: World, name: str) -> None:
    add = ("staff", "add", "--username", name, "--role", "qa", "--password-stdin")
    ran = Shell(world.settings.database_url).run(*add, stdin=f"{PASSWORD}\n")
    assert (ran.returncode, world.count("staff")) == (1, 0)


def test_every_action_needs_the_token_of_its_session(world: World) -> None:
    world.settle(result(77))
    browser, other = signed_in(world, "operations"), signed_in(world, "finance")
    foreign = csrf_token(other.page("/console/ledger"))
    for page in PAGES:
        if page.method != "POST":
            continue
        for form in ({}, {"csrf_token": ""}, {"csrf_token": foreign}, {"csrf_token": "é"}):
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
                sent = {"reason": "x", "day": "2026-01-01", **form}
                response = browser.client.post(_path(page.path), data=sent, content_type=kind)
                assert response.status_code == 403, (page, kind)
        assert browser.client.post(_path(page.path)).status_code == 403, page
        assert browser.client.post(_path(page.path), json={}).status_code == 403, page
    assert world.exceptions()[0]["resolved_at"] is None
    assert browser.get("/console/").status_code == 200, "still signed in"


def test_a_customers_session_opens_nothing(world: World) -> None:
    shell = Shell(world.settings.database_url)
    shell.ok("customer", "change", "--brand", "acme", "--uid", "7", "--password-stdin", stdin="customer-pass-1\n")
    body = {"username": "acme7", "password": "customer-pass-1"}
    token = world.client.post("/v1/sessions/", json=body).get_json()["data"]
    token = token if isinstance(token, str) else next(iter(token.values()))
    client = world.app.test_client()
    client.set_cookie("wallet_hooks_console", str(token), path="/console")
    assert (
        client.get("/console/", headers={"Authorization": f"Bearer {token}", "Session": str(token)}).status_code == 303
    )
    browser = Browser(world)
    assert browser.sign_in("acme7", "customer-pass-1").status_code == 401


def test_wrong_passwords_and_unknown_names_are_answered_alike(world: World) -> None:
    add_staff(world, "qa")
    browser = Browser(world)
    wrong, unknown = browser.sign_in("qa", "wrong-pass-1"), browser.sign_in("nobody", "wrong-pass-1")
    assert (wrong.status_code, wrong.text) == (unknown.status_code, unknown.text)
    assert wrong.status_code == 401
    assert PASSWORD not in wrong.text


def test_five_wrong_passwords_lock_the_account_for_a_while(world: World) -> None:
    add_staff(world, "qa")
    with freeze_time(START) as clock:
        browser = Browser(world)
        for _ in range(5):
            assert browser.sign_in("qa", "wrong-pass-1").status_code == 401
        assert browser.sign_in("qa").status_code == 401
        clock.move_to(START + timedelta(minutes=16))
        assert browser.sign_in("qa").status_code == 200


def test_guesses_during_a_lock_do_not_fill_the_audit_trail(world: World) -> None:
    add_staff(world, "qa")
    for _ in range(12):
        Browser(world).sign_in("qa", "wrong-pass-1")
    assert world.count("staff_action") == 5


def test_parallel_guesses_are_all_counted_and_a_code_is_used_once(world: World) -> None:
    printed = Shell(world.settings.database_url).ok(
        "staff", "add", "--username", "tina", "--role", "qa", "--password-stdin", "--totp", stdin=f"{PASSWORD}\n"
    )
    totp = pyotp.parse_uri(printed.splitlines()[1])
    assert isinstance(totp, pyotp.TOTP)
    code = totp.now()
    world.app  # noqa: B018 - started once, before the threads
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: Browser(world).sign_in("tina", code=code).status_code, range(4)))
    assert sorted(statuses) == [200, 401, 401, 401]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Browser(world).sign_in("tina", "wrong-pass-1").status_code, range(4)))
    with reading(world.engine) as session:
        failures, locked_until = session.execute(text("SELECT failed_logins, login_locked_until FROM staff")).one()
    assert (failures, locked_until is not None) == (7, True)


def test_a_session_ends_when_idle_and_after_half_a_day(world: World) -> None:
    add_staff(world, "qa")
    with freeze_time(START) as clock:
        browser = Browser(world)
        browser.sign_in("qa")
        clock.move_to(START + timedelta(minutes=29))
        assert browser.get("/console/").status_code == 200
        clock.move_to(START + timedelta(minutes=58))
        assert browser.get("/console/").status_code == 200, "each use counts"
        clock.move_to(START + timedelta(minutes=89))
        assert browser.get("/console/").status_code == 303
        browser.sign_in("qa")
        for minutes in range(100, 89 + 12 * 60, 20):
            clock.move_to(START + timedelta(minutes=minutes))
            assert browser.get("/console/").status_code == 200
        clock.move_to(START + timedelta(minutes=90 + 12 * 60))
        assert browser.get("/console/").status_code == 303


def test_signing_out_ends_the_session_on_the_server(world: World) -> None:
    browser = signed_in(world, "qa")
    cookie = browser.client.get_cookie("wallet_hooks_console", path="/console")
    assert cookie is not None
    browser.submit("/console/", "/console/logout")
    thief = world.app.test_client()
    thief.set_cookie("wallet_hooks_console", cookie.value, path="/console")
    assert thief.get("/console/").status_code == 303
    assert "sign_out" in Shell(world.settings.database_url).ok("staff", "actions")


def test_the_cookie_is_for_this_service_alone(world: World) -> None:
    add_staff(world, "qa")
    form = {"username": "qa", "password": PASSWORD}
    here = world.client.post("/console/login", data=form)
    cookie = here.headers["Set-Cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/console"))
    away = world.client.post("/console/login", data=form, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert "; Secure" in away.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_cannot_sign_its_visitor_in(world: World, headers: dict[str, str]) -> None:
    add_staff(world, "qa")
    response = world.client.post("/console/login", data={"username": "qa", "password": PASSWORD}, headers=headers)
    assert response.status_code == 403
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/console/../docs\\x", "/docs", "javascript:x"]
)
def test_signing_in_leads_only_to_the_console(world: World, path: str) -> None:
    add_staff(world, "qa")
    response = world.client.post("/console/login", data={"username": "qa", "password": PASSWORD, "next": path})
    assert response.headers["Location"] == "/console/"


def test_one_time_codes_are_required_once_set_up_and_work_once(world: World) -> None:
    shell = Shell(world.settings.database_url)
    printed = shell.ok(
        "staff", "add", "--username", "tina", "--role", "finance", "--password-stdin", "--totp", stdin=f"{PASSWORD}\n"
    )
    totp = pyotp.parse_uri(printed.splitlines()[1])
    assert isinstance(totp, pyotp.TOTP)
    with freeze_time(START) as clock:
        browser = Browser(world)
        assert browser.sign_in("tina").status_code == 401
        assert browser.sign_in("tina", code="000000").status_code == 401
        code = totp.at(START)
        assert browser.sign_in("tina", code=code).status_code == 200
        assert Browser(world).sign_in("tina", code=code).status_code == 401, "used already"
        clock.move_to(START + timedelta(seconds=60))
        assert Browser(world).sign_in("tina", code=totp.at(START + timedelta(seconds=60))).status_code == 200


def test_a_change_by_the_command_ends_sessions(world: World) -> None:
    browser = signed_in(world, "finance")
    shell = Shell(world.settings.database_url)
    shell.ok("staff", "change", "--username", "finance", "--role", "qa")
    assert browser.get("/console/").status_code == 303
    browser.sign_in("finance")
    assert browser.get("/console/reconciliation").status_code == 403
    shell.ok("staff", "change", "--username", "finance", "--inactive")
    assert browser.sign_in("finance").status_code == 401
    assert shell.run("staff", "change", "--username", "nobody", "--inactive").returncode == 1
    assert shell.run("staff", "change", "--username", "finance").returncode == 2
    assert "finance" in shell.ok("staff", "list")
    shell.ok("staff", "add", "--username", "tina", "--role", "qa", "--password-stdin", stdin=f"{PASSWORD}\n")
    recorded = [row for row in json.loads(shell.ok("staff", "actions", "--json")) if row["action"].startswith("staff")]
    assert {row["username"] for row in recorded} == {"(command line)"}
    assert [(row["action"], row["subject"], row["details"]) for row in recorded] == [
        ("staff_changed", "finance", {"role": "qa", "role_before": "finance"}),
        ("staff_changed", "finance", {"active": False, "active_before": True}),
        ("staff_added", "tina", {"role": "qa", "totp": False}),
    ]


@pytest.mark.parametrize("statement", ["UPDATE staff_action SET username = 'x'", "DELETE FROM staff_action"])
def test_the_audit_trail_only_grows(world: World, statement: str) -> None:
    signed_in(world, "qa")
    with pytest.raises(DBAPIError), writing(world.engine) as session:
        session.execute(text(statement))
    assert "sign_in" in Shell(world.settings.database_url).ok("staff", "actions")


def test_pages_load_nothing_from_elsewhere_and_nothing_inline(world: World) -> None:
    world.place(bet())
    browser = signed_in(world, "operations")
    response = browser.get("/console/")
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["Cache-Control"] == "no-store"
    for text_ in (response.text, browser.page("/console/login")):
        assert "<style" not in text_
        assert " style=" not in text_
        assert "http://" not in text_.replace("http://www.w3.org", "")
        assert "https://" not in text_
        for inline in ("onclick", "onload", "hx-on", "javascript:"):
            assert inline not in text_


def test_no_secret_reaches_a_page_or_the_trail(world: World) -> None:
    browser = signed_in(world, "operations")
    cookie = browser.client.get_cookie("wallet_hooks_console", path="/console")
    assert cookie is not None
    page = browser.page("/console/") + browser.page("/console/actions")
    for secret in (cookie.value, PASSWORD, "argon2"):
        assert secret not in page


def test_a_flood_of_customers_logins_does_not_keep_staff_out(world: World) -> None:
    add_staff(world, "finance")
    with passwords._logins.slot(), passwords._logins.slot():  # those of customers that are checked at a time
        assert Browser(world).sign_in("finance").status_code == 200


@pytest.mark.parametrize("cookie", ["a=\xff", "a=\xff; wallet_hooks_console=x", "=", ";;", "a" * 5000])
def test_a_cookie_that_cannot_be_read_is_none(world: World, cookie: str) -> None:
    for rule in world.app.url_map.iter_rules():
        if rule.rule.startswith("/console/") and not rule.arguments:
            for method in (rule.methods or set()) & {"GET", "POST"}:
                answer = world.client.open(rule.rule, method=method, headers={"Cookie": cookie})
                assert answer.status_code in {200, 303, 400, 401, 403}, (method, rule.rule)
