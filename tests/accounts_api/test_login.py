"""Login, keep-alive and logout: always HTTP 200, with a status in the body."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.desk import PASSWORD, Desk
from wallet_hooks.identity.passwords import hash_password

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def ann(desk: Desk) -> Desk:
    desk.world.change_customer("7", password_hash=hash_password(PASSWORD))
    return desk


def post(desk: Desk, path: str, form: Any = None, headers: dict[str, str] | None = None) -> dict[str, str]:
    response = desk.world.client.post(f"/api/{path}", data=form, headers=headers or {})
    assert (response.status_code, response.content_type) == (200, "application/json")
    answer = response.get_json()
    assert set(answer) == {"token", "product", "status", "error"}
    return dict(answer)


def log_in(desk: Desk, username: str = "ann", password: str = PASSWORD, **headers: str) -> dict[str, str]:
    return post(desk, "login", {"username": username, "password": password}, headers)


def test_a_session_lives_from_login_to_logout(ann: Desk) -> None:
    answer = log_in(ann, **{"X-Application": "some key"})
    assert (answer["status"], answer["error"], answer["product"]) == ("SUCCESS", "", "some key")
    session = {"X-Authentication": answer["token"]}
    assert post(ann, "keepAlive", headers=session) == answer | {"product": ""}
    assert ann.world.client.get("/api/keepAlive", headers=session).get_json()["status"] == "SUCCESS"
    assert post(ann, "logout", headers=session)["status"] == "SUCCESS"
    for path in ("keepAlive", "logout"):
        failed = {"token": "", "product": "", "status": "FAIL", "error": "NO_SESSION"}
        assert post(ann, path, headers=session) == post(ann, path) == failed


@pytest.mark.parametrize("charset", ["ISO-8859-1", "us-ascii"])
def test_a_form_may_name_any_charset(ann: Desk, charset: str) -> None:
    response = ann.world.client.post(
        "/api/login",
        data=f"username=ann&password={PASSWORD}",
        content_type=f"application/x-www-form-urlencoded; charset={charset}",
    )
    assert response.get_json()["status"] == "SUCCESS"


def test_keep_alive_keeps_a_session_alive(ann: Desk) -> None:
    idle = ann.world.settings.session_idle
    with freeze_time(NOON) as frozen:
        session = {"X-Authentication": log_in(ann)["token"]}
        for _ in range(3):
            frozen.tick(timedelta(seconds=idle * 0.8))
            assert post(ann, "keepAlive", headers=session)["status"] == "SUCCESS"
        frozen.tick(timedelta(seconds=idle))
        assert post(ann, "keepAlive", headers=session)["error"] == "NO_SESSION"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"username": "ann", "password": "wrong"}, "INVALID_USERNAME_OR_PASSWORD"),
        ({"username": "nobody", "password": PASSWORD}, "INVALID_USERNAME_OR_PASSWORD"),
        ({"username": "ann"}, "INVALID_USERNAME_OR_PASSWORD"),
        ({}, "INVALID_USERNAME_OR_PASSWORD"),
        ({"username": "a\x00n", "password": PASSWORD}, "INPUT_VALIDATION_ERROR"),
        ({"username": ["ann", "bob"], "password": PASSWORD}, "INPUT_VALIDATION_ERROR"),
        ({"username": "x" * 20_000, "password": PASSWORD}, "INPUT_VALIDATION_ERROR"),
        ({f"f{number}": "" for number in range(30)}, "INPUT_VALIDATION_ERROR"),
    ],
)
def test_failures_are_in_the_body(ann: Desk, form: dict[str, Any], error: str) -> None:
    answer = ann.world.client.post("/api/login", data=form, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.get_json()) == (
        200, {"token": "", "product": "", "status": "FAIL", "error": error},
    )  # fmt: skip


def test_a_customer_who_has_expired_logs_out(ann: Desk) -> None:
    """The session must not come back with the customer."""
    headers = {"X-Authentication": ann.token("ann")}
    ann.ok("boss", "PATCH", "/v1/customers/ann/", {"expires_at": "2020-01-01"})
    assert ann.world.client.post("/api/logout", headers=headers).get_json()["status"] == "SUCCESS"
    ann.ok("boss", "PATCH", "/v1/customers/ann/", {"expires_at": None})
    assert ann.world.client.get("/api/keepAlive", headers=headers).get_json()["error"] == "NO_SESSION"


def test_a_form_of_another_type_is_refused(ann: Desk) -> None:
    response = ann.world.client.post("/api/login", json={"username": "ann", "password": PASSWORD})
    assert (response.status_code, response.get_json()["error"]) == (200, "INPUT_VALIDATION_ERROR")


def test_logins_are_capped_for_each_source(ann: Desk) -> None:
    ann.world.configure(accounts_logins_per_second=1)
    with freeze_time(NOON) as frozen:
        assert log_in(ann, password="wrong")["error"] == "INVALID_USERNAME_OR_PASSWORD"
        assert log_in(ann)["error"] == "TEMPORARY_BAN_TOO_MANY_REQUESTS"
        frozen.tick(timedelta(seconds=1))
        assert log_in(ann)["status"] == "SUCCESS"


def test_logins_are_capped_for_a_network_of_ipv6(ann: Desk) -> None:
    """A customer has 2 to the power of 64 addresses."""
    ann.world.configure(accounts_logins_per_second=1, proxy_hops=1)
    with freeze_time(NOON):
        for address, error in (
            ("2a00:1450::1", ""),
            ("2a00:1450::2", "TEMPORARY_BAN_TOO_MANY_REQUESTS"),
            ("2a00::1", ""),
        ):
            form = {"username": "ann", "password": PASSWORD}
            answer = ann.world.client.post("/api/login", data=form, headers={"X-Forwarded-For": address})
            assert answer.get_json()["error"] == error, address


def test_a_locked_login_is_answered_like_a_wrong_password(ann: Desk) -> None:
    for _ in range(5):
        assert log_in(ann, password="wrong")["error"] == "INVALID_USERNAME_OR_PASSWORD"
    assert log_in(ann)["error"] == "INVALID_USERNAME_OR_PASSWORD"
