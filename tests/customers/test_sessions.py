"""Logging in and out, and what a storm of guesses comes to."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unicodedata import normalize
from unittest.mock import patch

import pytest
from argon2 import PasswordHasher
from freezegun import freeze_time
from sqlalchemy import text

from tests.desk import PASSWORD, Desk
from tests.test_commands import Shell
from tests.world import OK, JsonReply, bet, error
from wallet_hooks import clock
from wallet_hooks.customers import login, login_lock
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.customers.login_lock import is_login_locked
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import TryAgainError
from wallet_hooks.identity.passwords import hash_password, is_password

OF_ANN = "/v1/customers/ann/"


@pytest.fixture
def ann(desk: Desk) -> Desk:
    """Ann has a password."""
    set_columns(desk, password_hash=hash_password(PASSWORD))
    return desk


def set_columns(desk: Desk, **columns: object) -> None:
    with writing(desk.world.engine) as session:
        customer = customer_by_username(session, "ann")
        for name, value in columns.items():
            setattr(customer, name, value)


def log_in(desk: Desk, username: str = "ann", password: str = PASSWORD) -> JsonReply:
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


def test_all_failed_logins_are_answered_alike(ann: Desk) -> None:
    answers = [log_in(ann, "nobody"), log_in(ann, "ann", "wrong"), log_in(ann, "bob", PASSWORD)]
    for columns in (
        {"login_locked_until": clock.now() + timedelta(minutes=1)},
        {"login_locked_until": None, "locked": True},
        {"locked": False, "active": False},
        {"active": True, "expires_at": clock.now()},
    ):
        set_columns(ann, **columns)
        answers.append(log_in(ann))
    assert {reply.status for reply in answers} == {401}
    assert len({str(reply.body) for reply in answers}) == 1


def test_an_unknown_name_takes_as_long_as_a_wrong_password(ann: Desk) -> None:
    """One hash and one write each: the time cannot tell them apart."""
    for username, password in (("nobody", "x"), ("ann", "x"), ("bob", "x")):
        with (
            patch.object(login_lock, "is_password", side_effect=is_password) as hashing,
            patch.object(login, "writing", side_effect=writing) as write,
        ):
            assert log_in(ann, username, password).status == 401
        assert (hashing.call_count, write.call_count) == (1, 1)
    with reading(ann.world.engine) as session:
        assert session.scalar(text("SELECT sum(failures) FROM unknown_login")) == 1


def guess(desk: Desk, times: int = 5) -> None:
    for _ in range(times):
        assert log_in(desk, password="wrong").status == 401


def lock_of(desk: Desk) -> tuple[bool, str | None]:
    data = desk.ok("boss", "GET", OF_ANN)
    return data["locked"], data["lock_reason"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are compared and not hashed: hashing takes its time."""
    monkeypatch.setattr(
        login_lock, "is_password", lambda password, hashed, **_: hashed is not None and password == PASSWORD
    )


def test_five_failures_lock_the_login_until_a_manager_unlocks(ann: Desk) -> None:
    guess(ann, 4)
    assert log_in(ann).status == 200, "a success in between starts the count again"
    guess(ann)
    assert log_in(ann).status == 401
    assert lock_of(ann) == (True, "failed_logins")
    unlocked = ann.ok("boss", "PATCH", OF_ANN, {"locked": False})
    assert (unlocked["locked"], unlocked["lock_reason"]) == (False, None)
    assert log_in(ann).status == 200


@pytest.mark.usefixtures("quick")
def test_guessed_passwords_stop_neither_open_sessions_nor_bets(ann: Desk) -> None:
    headers = {"Session": log_in(ann).body["data"]}
    gateway = {"x-auth-token": headers["Session"]}
    guess(ann, 20)
    assert lock_of(ann) == (True, "failed_logins")
    assert ann.call(None, "GET", OF_ANN, headers=dict(headers)).body["data"]["lock_reason"] == "failed_logins"
    assert ann.call(None, "GET", f"{OF_ANN}can_place_bets/", headers=dict(headers)).body["data"]["can_place_bets"]
    assert ann.world.client.get("/gateway/limits/v1/player/limits/1007", headers=gateway).status_code == 200
    assert ann.world.place(bet()) == OK
    deposit = {"method": "card", "amount": ["EUR", 5], "reference": "P1"}
    ann.ok("boss", "POST", f"{OF_ANN}deposits/", deposit, headers={"Idempotency-Key": "k"})
    assert log_in(ann).status == 401, "a new session is another matter"


@pytest.mark.usefixtures("quick")
def test_a_managers_lock_stops_sessions_and_bets_until_it_is_taken_off(ann: Desk) -> None:
    headers = {"Session": log_in(ann).body["data"]}
    guess(ann)
    ann.ok("boss", "PATCH", OF_ANN, {"locked": True})
    assert lock_of(ann) == (True, "manager")
    assert ann.call(None, "GET", OF_ANN, headers=dict(headers)).status == 401
    assert ann.world.place(bet()) == error(402, "customer_locked")
    shown = Shell(ann.world.settings.database_url).ok("customer", "show", "--brand", "acme", "--uid", "7", "--json")
    assert (json.loads(shown)["locked"], json.loads(shown)["lock_reason"]) == (True, "manager")
    ann.ok("boss", "PATCH", OF_ANN, {"locked": False})
    assert lock_of(ann) == (False, None)
    assert log_in(ann).status == 200, "the lock of the guesses is off as well"
    assert ann.world.place(bet(10)) == OK


@pytest.mark.usefixtures("quick")
def test_a_login_is_locked_for_15_minutes_and_twice_as_long_each_time(ann: Desk) -> None:
    with freeze_time("2026-03-28T20:00:00Z") as moment:
        for minutes in (15, 30, 60, 120, 240, 480, 960, 1440, 1440):
            guess(ann)
            moment.tick(timedelta(minutes=minutes) - timedelta(seconds=1))
            guess(ann)
            assert log_in(ann).status == 401, "nor do guesses at a locked login make it last"
            assert lock_of(ann) == (True, "failed_logins")
            moment.tick(timedelta(seconds=1))
            assert lock_of(ann) == (False, None)
        guess(ann, 4)
        assert log_in(ann).status == 200, "one that ran out starts the count again"
        guess(ann)
        moment.tick(timedelta(minutes=15))
        assert log_in(ann).status == 200, "and so does a success with the doubling"


@pytest.mark.usefixtures("quick")
def test_a_customer_without_a_password_is_not_locked(desk: Desk) -> None:
    guess(desk, 6)
    assert lock_of(desk) == (False, None)
    assert desk.world.place(bet()) == OK
    desk.ok("boss", "PATCH", OF_ANN, {"password": PASSWORD})
    guess(desk, 4)
    assert log_in(desk).status == 200, "what was tried before there was a password does not count"


def test_concurrent_guesses_lock_after_five(ann: Desk) -> None:
    with (
        patch.object(login_lock, "is_password", side_effect=lambda password, _, **__: password == PASSWORD),
        ThreadPoolExecutor(20) as pool,
    ):
        statuses = list(pool.map(lambda _: log_in(ann, password="wrong").status, range(20)))
        assert statuses == [401] * 20
        assert log_in(ann).status == 401
    with reading(ann.world.engine) as session:
        customer = customer_by_username(session, "ann")
        assert (customer.login_locks, customer.locked) == (1, False)
        assert is_login_locked(customer, now=clock.now())


def test_too_many_concurrent_logins_are_refused(ann: Desk) -> None:
    with patch.object(login_lock, "is_password", side_effect=TryAgainError("too many logins at once")):
        reply = log_in(ann)
    assert (reply.status, reply.body["code"]) == (429, "too_many_requests")


def test_a_login_takes_three_passes_over_64_mebibytes(ann: Desk, production_hasher: PasswordHasher) -> None:
    hashed = production_hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    set_columns(ann, password_hash=hashed)
    assert log_in(ann, password="wrong").status == 401
    assert log_in(ann).status == 200


def test_a_few_logins_wait_and_further_ones_are_refused(production_hasher: PasswordHasher) -> None:
    hashed = production_hasher.hash(PASSWORD)
    with ThreadPoolExecutor(30) as pool:
        outcomes = [pool.submit(is_password, "wrong", hashed) for _ in range(30)]
    errors = [outcome.exception() for outcome in outcomes]
    assert any(isinstance(error, TryAgainError) for error in errors)
    assert sum(error is None for error in errors) >= 8
    assert is_password(PASSWORD, hashed)


def test_a_password_is_the_same_composed_or_not(production_hasher: PasswordHasher) -> None:
    composed, decomposed = (normalize(form, "pässw0rd é") for form in ("NFC", "NFD"))
    for hashed in (hash_password(composed), hash_password(decomposed)):
        assert is_password(composed, hashed)
        assert is_password(decomposed, hashed)
    before = production_hasher.hash(decomposed)
    assert is_password(decomposed, before), "earlier versions hashed what came"
    assert not is_password("passw0rd e", before)


def test_a_new_password_ends_the_sessions_and_the_old_one(ann: Desk) -> None:
    headers = {"Session": log_in(ann).body["data"]}
    ann.ok("boss", "PATCH", "/v1/customers/ann/", {"password": "another1pass"})
    assert ann.call(None, "GET", "/v1/customers/ann/", headers=dict(headers)).status == 401
    assert log_in(ann).status == 401
    assert log_in(ann, password="another1pass").status == 200
