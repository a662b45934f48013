"""Authentication of callbacks: every method, with valid and invalid credentials, through the HTTP API."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from freezegun import freeze_time
from standardwebhooks.webhooks import Webhook

from tests.service import post, served
from tests.test_commands import Shell
from tests.world import OK, JsonReply, World, bet, error, refund, result

SECRET = "a secret of at least sixty-four bytes, long enough for every algorithm"
NEXT_SECRET = "the next secret of the rotation, at least sixty-four bytes long as well"
BODY = json.dumps({"bets": [bet()]}).encode()
UNAUTHENTICATED = error(401, "unauthenticated")
FORBIDDEN = error(403, "forbidden")


@pytest.fixture
def strict(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with a secret in the environment. Each test chooses the provider's authentication method."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    return world


def token(secret: str = SECRET, *, algorithm: str = "HS256", **claims: Any) -> str:
    facts: dict[str, Any] = {"exp": time.time() + 60, "username": "scout", "id": 1, "role": "admin"} | claims
    return jwt.encode({name: value for name, value in facts.items() if value is not None}, secret, algorithm)


def bearer(*parts: str) -> dict[str, str]:
    return {"Authorization": " ".join(["Bearer", *parts])}


def call(world: World, headers: dict[str, str], body: bytes = BODY, path: str = "/bets", **kwargs: Any) -> JsonReply:
    return world.post(path, body, headers=headers, **kwargs)


@pytest.fixture
def scout(strict: World) -> World:
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"])
    return strict


@pytest.mark.parametrize(
    "claims", [{}, {"role": "user"}, {"id": None, "uid": 5}, {"role": None}, {"aud": "scout-customer"}], ids=str
)
def test_valid_scout_token_is_accepted(scout: World, claims: dict[str, Any]) -> None:
    assert call(scout, bearer("acme", token(**claims))) == OK


def test_the_name_of_the_scheme_is_read_in_any_case(scout: World) -> None:
    assert call(scout, {"Authorization": f"bearer acme {token()}"}) == OK


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(token()),
        bearer("other", token()),
        bearer("acme"),
        bearer("acme", token(), "more"),
        bearer("acme", token(SECRET[::-1])),
        bearer("acme", token(exp=1)),
        bearer("acme", token(exp=None)),
        bearer("acme", token(exp="soon")),
        bearer("acme", token(username=None)),
        bearer("acme", token(id=None)),
        bearer("acme", token(algorithm="HS512")),
        bearer("acme", jwt.encode({"exp": 9e9, "username": "x", "id": 1, "role": "admin"}, "", "none")),
        bearer("acme", "a.b.c"),
        bearer("acme", "\xff"),
        bearer("acme", ""),
        {"Authorization": f"Basic acme {token()}"},
    ],
)
def test_invalid_scout_token_is_401(scout: World, headers: dict[str, str]) -> None:
    assert call(scout, headers) == UNAUTHENTICATED
    assert scout.balance() == "100.00"
    assert scout.count("delivery") == 1


def test_scout_token_expires(scout: World) -> None:
    expiring = token(exp=time.time() + 60)
    assert call(scout, bearer("acme", expiring)) == OK
    with freeze_time(datetime.now(UTC) + timedelta(seconds=60 + 31)):
        assert call(scout, bearer("acme", expiring)) == UNAUTHENTICATED


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("claim", "first_wrong", "last_right"), [("exp", -30, -29), ("nbf", 31, 30), ("iat", 31, 30)], ids=str
)
def test_leeway_applies_to_all_times_of_a_token(scout: World, claim: str, first_wrong: int, last_right: int) -> None:
    """The parameters are seconds from now. The default leeway is 30 seconds."""
    with freeze_time(NOW):
        at = NOW.timestamp()
        valid: dict[str, Any] = {"exp": at + 600}
        assert call(scout, bearer("acme", token(**valid | {claim: at + last_right}))) == OK
        assert call(scout, bearer("acme", token(**valid | {claim: at + first_wrong}))) == UNAUTHENTICATED


@pytest.mark.parametrize("leeway", [0, 5])
def test_leeway_is_configurable(scout: World, leeway: int) -> None:
    scout.configure(jwt_leeway=leeway)
    with freeze_time(NOW):
        at = NOW.timestamp()
        far: dict[str, Any] = {"exp": at + 600}
        for name, wrong, right in (
            ("exp", -leeway, 1 - leeway),
            ("nbf", leeway + 1, leeway),
            ("iat", leeway + 1, leeway),
        ):
            assert call(scout, bearer("acme", token(**far | {name: at + wrong}))) == UNAUTHENTICATED
            assert call(scout, bearer("acme", token(**far | {name: at + right}))) == OK


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", True, [], 10**400, -(10**400), 1e308, "NaN"], ids=lambda v: str(v)[:6])
def test_extreme_and_invalid_times_of_a_token(scout: World, claim: str, value: Any) -> None:
    """The far past is valid for nbf and iat, the far future for exp; values that are not numbers are invalid."""
    is_right = type(value) in (int, float) and (value > 0) == (claim == "exp")
    reply = call(scout, bearer("acme", token(**{claim: value})))
    assert reply == (OK if is_right else UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("path", "body"), [("/winners", {"pools": [result()]}), ("/bets/cancel", {"pools": [refund()]})]
)
def test_settling_and_cancelling_require_role_admin(scout: World, path: str, body: Any) -> None:
    call(scout, bearer("acme", token()))
    for role in ("user", "tester", None):
        assert call(scout, bearer("acme", token(role=role)), json.dumps(body).encode(), path) == FORBIDDEN
    assert call(scout, bearer("acme", token()), json.dumps(body).encode(), path) == OK


def test_role_tester_cannot_place_bets(scout: World) -> None:
    assert call(scout, bearer("acme", token(role="tester"))) == FORBIDDEN


def test_token_is_not_valid_for_another_brand_or_game(scout: World) -> None:
    scout.brand("other", id_=1008)
    scout.provider("other", auth="scout-jwt", secrets=["env:ACME_SECRET"])
    scout.customer(client="other")
    for item in (bet(client="other"), bet(game="lotto")):
        body = json.dumps({"bets": [bet(1), item]}).encode()
        assert call(scout, bearer("acme", token()), body) == FORBIDDEN
    assert (scout.balance(), scout.balance(client="other")) == ("100.00", "100.00")


def test_two_secrets_are_valid_during_rotation(strict: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(NEXT_SECRET + "\n")
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET", f"file:{file}"])
    assert call(strict, bearer("acme", token())) == OK
    assert call(strict, bearer("acme", token(NEXT_SECRET))) == OK
    monkeypatch.delenv("ACME_SECRET")
    assert call(strict, bearer("acme", token())) == UNAUTHENTICATED
    assert call(strict, bearer("acme", token(NEXT_SECRET))) == OK


def test_missing_or_empty_secret_authenticates_nobody(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    strict.provider(auth="hmac", secrets=["env:ACME_SECRET"])
    for value in ("", None):
        monkeypatch.setenv("ACME_SECRET", value) if value is not None else monkeypatch.delenv("ACME_SECRET")
        empty = hmac.new(b"", BODY, hashlib.sha256).hexdigest()
        assert call(strict, {"X-Signature": empty}) == UNAUTHENTICATED


def test_hmac_verifies_the_raw_bytes(strict: World) -> None:
    strict.provider(auth="hmac", secrets=["env:ACME_SECRET"])
    signature = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert call(strict, {"X-Signature": signature}) == OK
    assert call(strict, {"X-Signature": f"sha256={signature}"}) == OK
    for headers, body in (({"X-Signature": signature}, BODY + b" "), ({"X-Signature": "é" * 64}, BODY), ({}, BODY)):
        assert call(strict, headers, body) == UNAUTHENTICATED


def test_basic_verifies_username_and_password(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", "acme:pass:word")
    strict.provider(auth="basic", secrets=["env:ACME_SECRET"])

    def basic(text: str) -> dict[str, str]:
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    assert call(strict, basic("acme:pass:word")) == OK
    for headers in (basic("acme:wrong"), basic(""), {"Authorization": "Basic ???"}, {"Authorization": "Basic"}, {}):
        assert call(strict, headers) == UNAUTHENTICATED


@pytest.fixture
def webhooks(strict: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ACME_SECRET", f"whsec_{base64.b64encode(SECRET.encode()).decode()}")
    strict.provider(auth="standard-webhooks", secrets=["env:ACME_SECRET"])
    return strict


def signed(body: bytes = BODY, *, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    signature = Webhook(base64.b64encode(SECRET.encode()).decode()).sign("msg_1", at, body.decode())
    stamp = str(int(at.timestamp()))
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}


def test_standard_webhooks_signature_is_valid_for_five_minutes(webhooks: World) -> None:
    assert call(webhooks, signed()) == OK
    assert call(webhooks, signed(at=datetime.now(UTC) - timedelta(minutes=4))) == OK
    assert call(webhooks, signed(at=datetime.now(UTC) - timedelta(minutes=6))) == UNAUTHENTICATED
    assert call(webhooks, signed(at=datetime.now(UTC) + timedelta(minutes=6))) == UNAUTHENTICATED


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,%%%"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": ""},
        {"webhook-signature": "v2,AAAA v1,AAA"},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1e400"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": ""},
        {"webhook-id": ""},
    ],
    ids=str,
)
def test_malformed_webhook_headers_are_401(webhooks: World, wrong: dict[str, str]) -> None:
    assert call(webhooks, signed() | wrong) == UNAUTHENTICATED
    assert webhooks.balance() == "100.00"


@pytest.mark.parametrize("other", ["junk", "v1,A", "v1,AAAA", "v1a,AAAA", ""])
def test_one_valid_webhook_signature_of_several_is_enough(webhooks: World, other: str) -> None:
    headers = signed()
    for entries in ((other, headers["webhook-signature"]), (headers["webhook-signature"], other)):
        assert call(webhooks, headers | {"webhook-signature": " ".join(entries)}) == OK


def test_webhook_body_that_is_not_utf8_is_401(webhooks: World) -> None:
    assert call(webhooks, signed(), b"\xff") == UNAUTHENTICATED


def test_source_outside_the_allow_list_is_403(strict: World) -> None:
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"], allow=["203.0.113.0/24"])
    good = bearer("acme", token())
    assert call(strict, good, environ_base={"REMOTE_ADDR": "203.0.113.77"}) == OK
    for address in ("198.51.100.1", "", "unix:"):
        assert call(strict, good, environ_base={"REMOTE_ADDR": address}) == FORBIDDEN


def test_valid_credentials_from_elsewhere_are_403_beside_a_provider_without_an_allow_list(strict: World) -> None:
    strict.provider(auth="hmac", secrets=["env:ACME_SECRET"], allow=["203.0.113.0/24"])
    strict.provider(game="other", auth="hmac", secrets=["env:OTHER_SECRET"])
    good = {"X-Signature": hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()}
    assert call(strict, good, environ_base={"REMOTE_ADDR": "203.0.113.77"}) == OK
    assert call(strict, good) == FORBIDDEN
    assert call(strict, {"X-Signature": "00"}) == UNAUTHENTICATED


def test_a_token_of_the_wrong_role_from_elsewhere_is_403(strict: World) -> None:
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"], allow=["203.0.113.0/24"])
    strict.provider(game="other", auth="scout-jwt", secrets=["env:OTHER_SECRET"])
    assert call(strict, bearer("acme", token(role="user")), path="/winners") == FORBIDDEN


@pytest.mark.parametrize("headers", [{}, {"X-Signature": "00"}, {"Authorization": "Basic eDp5"}], ids=str)
def test_bad_credentials_are_401_beside_a_provider_that_needs_none(strict: World, headers: dict[str, str]) -> None:
    strict.provider(auth="hmac", secrets=["env:ACME_SECRET"])
    strict.provider(game="open", auth="none")
    assert call(strict, headers) == UNAUTHENTICATED
    assert call(strict, headers, json.dumps({"bets": [bet(game="open")]}).encode()) == OK
    good = {"X-Signature": hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()}
    assert call(strict, good) == OK


def test_allow_list_uses_the_address_behind_trusted_proxies(strict: World) -> None:
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"], allow=["203.0.113.0/24"])
    strict.configure(proxy_hops=1)
    good = bearer("acme", token())
    assert call(strict, good | {"X-Forwarded-For": "203.0.113.9"}) == OK
    assert call(strict, good | {"X-Forwarded-For": "203.0.113.9:51008"}) == OK
    assert call(strict, good | {"X-Forwarded-For": "203.0.113.9:510080"}) == FORBIDDEN
    assert call(strict, good | {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}) == FORBIDDEN
    assert call(strict, good) == FORBIDDEN


def test_allow_list_accepts_ipv6_addresses_with_a_port(strict: World) -> None:
    strict.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"], allow=["2001:db8::/32"])
    strict.configure(proxy_hops=1)
    good = bearer("acme", token())
    assert call(strict, good | {"X-Forwarded-For": "[2001:db8::9]:51008"}) == OK
    for address in ("[2001:db9::9]:51008", "unknown", "[2001:db8::9]:"):
        assert call(strict, good | {"X-Forwarded-For": address}) == FORBIDDEN


def test_provider_without_authentication_is_accepted_from_loopback_only(world: World) -> None:
    assert call(world, {}) == OK
    assert call(world, {}, environ_base={"REMOTE_ADDR": "::1"}) == OK
    assert call(world, {}, environ_base={"REMOTE_ADDR": "203.0.113.9"}) == UNAUTHENTICATED
    assert call(world, {"X-Forwarded-For": "127.0.0.1"}) == UNAUTHENTICATED
    assert call(world, {"Forwarded": "for=127.0.0.1"}) == UNAUTHENTICATED


@pytest.mark.served
def test_credentials_are_neither_logged_nor_stored(scout: World, tmp_path: Path) -> None:
    valid = token()
    scout.close_app()
    with served(scout.settings.database_url, tmp_path) as (url, _):
        assert post(url, "/bets", {"bets": [bet()]}, bearer("acme", valid)) == OK
        assert post(url, "/bets", {"bets": [bet()]}, bearer("acme", valid + "x")) == UNAUTHENTICATED
    log = (tmp_path / "server.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert [(line["event"], line["path"], line["status"]) for line in lines] == [
        ("callback", "/bets", 200),
        ("callback", "/bets", 401),
    ]
    (delivery,) = scout.wager()["deliveries"]
    assert lines[0]["request_id"] == delivery["id"]
    for hidden in (valid, SECRET, "203.0.113.9"):
        assert hidden not in log
        assert hidden not in json.dumps(delivery)


@pytest.mark.all_together
def test_unauthenticated_requests_store_at_most_4_kib_of_the_body(scout: World) -> None:
    from sqlalchemy import text  # noqa: PLC0415

    from wallet_hooks.database import reading  # noqa: PLC0415

    call(scout, {}, b"x" * 100_000)
    with reading(scout.engine) as session:
        assert session.scalar(text("SELECT length(body) FROM delivery")) == 4096


@pytest.mark.parametrize(
    ("auth", "secret", "is_short"),
    [
        ("hmac", "x" * 16, False),
        ("hmac", "x" * 15, True),
        ("scout-jwt", "x" * 32, False),
        ("scout-jwt", "x" * 31, True),
        ("basic", "provider:" + "x" * 15, True),
        ("standard-webhooks", "whsec_" + "x" * 12, True),
    ],
)
def test_a_secret_that_may_be_guessed_is_warned_of(
    world: World, tmp_path: Path, auth: str, secret: str, is_short: bool
) -> None:
    (tmp_path / "secret").write_text(secret)
    add = ["provider", "add", "--game", "betflex", "--brand", "acme", "--auth", auth]
    ran = Shell(world.settings.database_url).run(*add, "--secret", f"file:{tmp_path / 'secret'}")
    assert (ran.returncode, "is short" in ran.stderr) == (0, is_short)
    assert secret not in ran.stderr
