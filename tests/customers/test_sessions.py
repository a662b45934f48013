"""Logging in and out, and what a storm of guesses comes to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import patch

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.desk import PASSWORD, Desk
from tests.world import OK, Reply, bet
from wallet_hooks import clock
from wallet_hooks.customers import login
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import TryAgainError
from wallet_hooks.identity.passwords import hash_password, is_password

HASHED = hash_password(PASSWORD)


@pytest.fixture
def ann(desk: Desk) -> Desk:
    """Ann has a password."""
    set_columns(desk, password_hash=HASHED)
    return desk


def set_columns(desk: Desk, **columns: object) -> None:
    with writing(desk.world.engine) as session:
        customer = customer_by_username(session, "ann")
        for name, value in columns.items():
            setattr(customer, name, value)


def log_in(desk: Desk, username: str = "ann", password: str = PASSWORD) -> Reply:
    return desk.call(None, "POST", "/v1/sessions/", {"username": username, "password": password})


def test_a_session_from_login_to_logout(ann: Desk) -> None:
    token = log_in(ann).body["data"]
    assert len(token) == 32
    shown = ann.call(None, "GET", f"/v1/sessions/{token}/").body["data"]
    assert shown["username"] == "ann"
    headers = {"Session": token}
    row = ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).body["data"]
    assert row["last_login"] == shown["created_at"]
    assert ann.call(None, "DELETE", f"/v1/sessions/{token}/") == (200, {"status": "ok", "data": None})
    for method, path in (("GET", f"/v1/sessions/{token}/"), ("DELETE", f"/v1/sessions/{token}/")):
        assert ann.call(None, method, path).status == 401
    assert ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).status == 401


def test_a_form_logs_in_as_json_does(ann: Desk) -> None:
    form = f"username=ann&password={PASSWORD}"
    reply = ann.call(None, "POST", "/v1/sessions/", form, content_type="application/x-www-form-urlencoded")
    assert reply.status == 200


def test_neither_tokens_nor_passwords_are_stored(ann: Desk) -> None:
    token = log_in(ann).body["data"]
    api = ann.api_token("finance")
    with reading(ann.world.engine) as session:
        for table in ("login_session", "api_token", "customer"):
            stored = str(session.execute(text(f"SELECT * FROM {table}")).all())
            assert token not in stored
            assert api not in stored
            assert PASSWORD not in stored


def test_a_session_ends_after_a_day_without_use(ann: Desk) -> None:
    with freeze_time("2026-03-28T20:00:00Z", tick=True) as moment:
        headers = {"Session": log_in(ann).body["data"]}
        for _ in range(3):
            moment.tick(timedelta(hours=23, minutes=58))
            assert ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).status == 200
        moment.tick(timedelta(hours=24, seconds=1))
        assert ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).status == 401


def test_whatever_stands_against_a_login_is_told_alike(ann: Desk) -> None:
    told = [log_in(ann, "nobody"), log_in(ann, "ann", "wrong"), log_in(ann, "bob", PASSWORD)]
    for columns in ({"locked": True}, {"locked": False, "active": False}, {"active": True, "expires_at": clock.now()}):
        set_columns(ann, **columns)
        told.append(log_in(ann))
    assert {reply.status for reply in told} == {401}
    assert len({str(reply.body) for reply in told}) == 1


def test_an_unknown_name_costs_what_a_wrong_password_does(ann: Desk) -> None:
    """One hash and one write each: the time cannot tell them apart."""
    for username, password in (("nobody", "x"), ("ann", "x"), ("bob", "x")):
        with (
            patch.object(login, "is_password", side_effect=is_password) as hashing,
            patch.object(login, "writing", side_effect=writing) as write,
        ):
            assert log_in(ann, username, password).status == 401
        assert (hashing.call_count, write.call_count) == (1, 1)
    with reading(ann.world.engine) as session:
        assert session.scalar(text("SELECT sum(failures) FROM unknown_login")) == 1


def test_five_failures_lock_and_only_a_manager_unlocks(ann: Desk) -> None:
    for _ in range(4):
        log_in(ann, password="wrong")
    assert log_in(ann).status == 200, "a success in between starts the count again"
    for _ in range(5):
        log_in(ann, password="wrong")
    assert log_in(ann).status == 401
    assert ann.ok("boss", "GET", "/v1/customers/ann/")["locked"] is True
    assert ann.ok("boss", "PATCH", "/v1/customers/ann/", {"locked": False})["locked"] is False
    assert log_in(ann).status == 200


def test_who_has_no_password_is_not_locked_out_of_betting(desk: Desk) -> None:
    for _ in range(6):
        assert log_in(desk).status == 401
    assert desk.world.place(bet()) == OK


def test_a_storm_of_guesses_locks_after_five_that_count(ann: Desk) -> None:
    with (
        patch.object(login, "is_password", side_effect=lambda password, _: password == PASSWORD),
        ThreadPoolExecutor(20) as pool,
    ):
        statuses = list(pool.map(lambda _: log_in(ann, password="wrong").status, range(20)))
        assert statuses == [401] * 20
        assert log_in(ann).status == 401
    with reading(ann.world.engine) as session:
        customer = customer_by_username(session, "ann")
        assert (customer.failed_logins, customer.locked) == (20, True)


def test_too_many_logins_at_once_are_sent_away(ann: Desk) -> None:
    with patch.object(login, "is_password", side_effect=TryAgainError("too many logins at once")):
        reply = log_in(ann)
    assert (reply.status, reply.body["code"]) == (429, "too_many_requests")


def test_a_storm_of_passwords_keeps_a_few_waiting_and_turns_the_others_away() -> None:
    with ThreadPoolExecutor(30) as pool:
        outcomes = [pool.submit(is_password, "wrong", HASHED) for _ in range(30)]
    errors = [outcome.exception() for outcome in outcomes]
    assert any(isinstance(error, TryAgainError) for error in errors)
    assert sum(error is None for error in errors) >= 8
    assert is_password(PASSWORD, HASHED)


def test_a_new_password_ends_the_sessions_and_the_old_one(ann: Desk) -> None:
    headers = {"Session": log_in(ann).body["data"]}
    ann.ok("boss", "PATCH", "/v1/customers/ann/", {"password": "another1pass"})
    assert ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).status == 401
    assert log_in(ann).status == 401
    assert log_in(ann, password="another1pass").status == 200
