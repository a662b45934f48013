"""Unknown tokens: an address of the internet may try a few a minute, then none of its tokens is looked up."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.accounts_api.client import JSON_RPC, REST, RPC_PATH, AccountClient, Headers
from tests.accounts_api.test_web_apps import Vendor
from tests.desk import Desk
from wallet_hooks import clock
from wallet_hooks.console.visits import COOKIE
from wallet_hooks.database import writing
from wallet_hooks.identity import api_tokens
from wallet_hooks.web import token_guesses
from wallet_hooks.web.throttle import Throttle

MOST = 3
GUESSER, OTHER = "8.8.8.8", "9.9.9.9"


@pytest.fixture(autouse=True)
def few_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_guesses, "_guesses", Throttle(MOST, seconds=10**9))


class Guesser:
    """Sends requests with a token through a proxy, and returns their statuses."""

    def __init__(self, desk: Desk, method: str, path: str, header: str, body: Any = None) -> None:
        desk.world.configure(proxy_hops=1)
        self.client = desk.world.app.test_client(use_cookies=False)
        self.request: dict[str, Any] = {"method": method, "path": path, "json": body}
        self.header = header

    def send(self, token: str, address: str) -> int:
        headers, request = {"X-Forwarded-For": address}, dict(self.request)
        if self.header == "token":
            request["query_string"] = {"token": token}
            headers |= {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
            headers |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        elif self.header == "path":
            request["path"] += token
        else:
            headers[self.header] = self.value(token)
        return self.client.open(**request, headers=headers).status_code

    def value(self, token: str) -> str:
        if self.header == "Authorization":
            return f"Bearer {token}"
        return f"{COOKIE}={token}" if self.header == "Cookie" else token


GUESSED: dict[str, tuple[str, str, str, Any]] = {
    "v1": ("GET", "/v1/customers/", "Session", None),
    "v1-api-token": ("POST", "/v1/customers/ann/deposits/", "Authorization", {"amount": "1", "reference": "a"}),
    "limits": ("GET", "/gateway/limits/v1/player/limits/1007", "x-auth-token", None),
    "exports": ("GET", "/finance/exports/journal.csv", "Authorization", None),
    "console": ("GET", "/console/", "Cookie", None),
    "stream": ("GET", "/v1/stream/", "token", None),
    "session": ("GET", "/v1/sessions/", "path", None),
}


@pytest.mark.parametrize("api", GUESSED)
def test_an_address_that_guesses_tokens_is_refused_for_a_while(desk: Desk, api: str) -> None:
    guesser = Guesser(desk, *GUESSED[api])
    refused = guesser.send("x", GUESSER)
    assert {guesser.send(f"guess-{number}", GUESSER) for number in range(MOST - 1)} == {refused}
    assert guesser.send("one-more", GUESSER) == 429 != refused
    assert guesser.send("elsewhere", OTHER) == refused


def test_keep_alive_counts_unknown_sessions(desk: Desk) -> None:
    guesser = Guesser(desk, "GET", "/api/keepAlive", "X-Authentication")
    for _ in range(MOST):
        guesser.send("x", GUESSER)
    answer = guesser.client.get("/api/keepAlive", headers={"X-Authentication": "x", "X-Forwarded-For": GUESSER})
    assert answer.json is not None
    assert answer.json["error"] == "TEMPORARY_BAN_TOO_MANY_REQUESTS"


def test_a_right_token_is_not_found_out_by_an_address_that_guesses(desk: Desk) -> None:
    guesser = Guesser(desk, *GUESSED["v1"])
    token = desk.token("boss")
    assert guesser.send(token, GUESSER) == 200
    for _ in range(MOST):
        assert guesser.send("x", GUESSER) == 401
    assert guesser.send(token, GUESSER) == 429
    assert guesser.send(token, OTHER) == 200


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "fd00::1"])
def test_internal_addresses_are_not_counted_because_they_may_be_a_proxys(desk: Desk, address: str) -> None:
    guesser = Guesser(desk, *GUESSED["v1"])
    assert {guesser.send("x", address) for _ in range(2 * MOST)} == {401}


def test_addresses_of_one_ipv6_network_are_counted_together(desk: Desk) -> None:
    guesser = Guesser(desk, *GUESSED["v1"])
    assert {guesser.send("x", f"2a00:1450:4001::{number}") for number in range(1, MOST + 1)} == {401}
    assert guesser.send("x", "2a00:1450:4001::ffff") == 429
    assert guesser.send("x", "2a00:1450:4001:1::1") == 401


def test_requests_without_a_token_are_not_counted(desk: Desk) -> None:
    guesser = Guesser(desk, *GUESSED["v1"])
    address = {"X-Forwarded-For": GUESSER}
    for path in (
        "/v1/customers/",
        "/gateway/limits/v1/player/limits/1007",
        "/finance/exports/journal.csv",
        "/console/",
    ):
        assert {guesser.client.get(path, headers=address).status_code for _ in range(2 * MOST)} <= {401, 303}
    assert guesser.client.get("/api/logout", headers=address).get_json()["error"] == "NO_SESSION"
    assert guesser.send("x", GUESSER) == 401


def test_an_address_that_guesses_may_log_in(desk: Desk) -> None:
    guesser = Guesser(desk, *GUESSED["v1"])
    for _ in range(MOST + 1):
        guesser.send("x", GUESSER)
    address = {"X-Forwarded-For": GUESSER}
    wrong = {"username": "ann", "password": "wrong-1"}
    assert guesser.client.post("/v1/sessions/", json=wrong, headers=address).status_code == 401
    assert guesser.client.get("/console/login", headers=address).status_code == 200


def test_callbacks_are_not_refused_for_wrong_signatures_of_others(desk: Desk) -> None:
    guesser = Guesser(desk, "POST", "/bets", "Authorization", {"bets": []})
    assert 429 not in {guesser.send("x", GUESSER) for _ in range(2 * MOST)}


class InternetClient(AccountClient):
    """Calls from the guesser's address."""

    def __init__(self, desk: Desk, transport: str = JSON_RPC) -> None:
        desk.world.configure(proxy_hops=1)
        super().__init__(desk, transport)

    def post(self, path: str, body: Any, headers: Headers | None = None, **kwargs: Any) -> tuple[int, Any]:
        return super().post(path, body, {**(headers or {}), "X-Forwarded-For": GUESSER}, **kwargs)


@pytest.mark.parametrize("transport", [JSON_RPC, REST])
def test_operations_with_unknown_sessions_are_counted(desk: Desk, transport: str) -> None:
    client = InternetClient(desk, transport)
    codes = [client.code("getAccountFunds", headers={"X-Authentication": "x"}) for _ in range(MOST + 1)]
    assert codes == [*["INVALID_SESSION_INFORMATION"] * MOST, "TOO_MANY_REQUESTS"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"client_secret": "x"}, "INVALID_SECRET"),
        ({"code": "x"}, "INVALID_AUTH_CODE"),
        ({"grant_type": "REFRESH_TOKEN", "code": None, "refresh_token": "x"}, "INVALID_GRANT_TYPE"),
    ],
)
def test_wrong_secrets_codes_and_refresh_tokens_are_counted(desk: Desk, wrong: dict[str, str], expected: str) -> None:
    client = InternetClient(desk)
    vendor = Vendor(client)
    given = vendor.request(code=vendor.code()) | wrong
    codes = [client.code("token", **given) for _ in range(MOST + 1)]
    assert codes == [*[expected] * MOST, "TOO_MANY_REQUESTS"]


def test_each_operation_of_a_batch_is_counted(desk: Desk) -> None:
    call = {"jsonrpc": "2.0", "method": "AccountAPING/v1.0/getAccountFunds", "params": {}}
    client = InternetClient(desk)
    batch = [call | {"id": number} for number in range(MOST + 2)]
    _, answers = client.post(RPC_PATH, batch, {"X-Authentication": "x"})
    codes = [one["error"]["data"]["AccountAPINGException"]["errorCode"] for one in answers]
    assert codes == [*["INVALID_SESSION_INFORMATION"] * MOST, *["TOO_MANY_REQUESTS"] * 2]


def test_a_session_that_has_ended_is_known_and_not_counted(desk: Desk) -> None:
    client = InternetClient(desk)
    with freeze_time("2026-11-20T12:00:00Z"):
        ended = client.headers("ann")
    codes = {client.code("getAccountFunds", headers=ended) for _ in range(2 * MOST)}
    assert codes == {"INVALID_SESSION_INFORMATION"}


@pytest.mark.parametrize("how", ["logout", "lock"])
@pytest.mark.parametrize("api", ["v1", "limits", "account API"])
def test_a_session_that_was_ended_or_whose_customer_is_locked_is_not_counted(desk: Desk, api: str, how: str) -> None:
    method, path, header, body = GUESSED.get(api, ("GET", "/api/keepAlive", "X-Authentication", None))
    guesser = Guesser(desk, method, path, header, body)
    token = desk.token("ann")
    if how == "lock":
        desk.world.change_customer("7", locked=True)
    else:
        guesser.client.get("/api/logout", headers={"X-Authentication": token, "X-Forwarded-For": GUESSER})
    assert len({guesser.send(token, GUESSER) for _ in range(2 * MOST)}) == 1
    known = guesser.client.get("/api/keepAlive", headers={"X-Authentication": token, "X-Forwarded-For": GUESSER})
    assert known.get_json()["error"] == "NO_SESSION"


def test_an_access_token_that_another_one_has_replaced_is_not_counted(desk: Desk) -> None:
    client = InternetClient(desk)
    vendor = Vendor(client)
    with freeze_time() as moment:
        tokens = first = vendor.tokens(vendor.code())
        for hours in (0, 13):  # before and after it has expired
            moment.tick(timedelta(hours=hours))
            given = vendor.request(grant_type="REFRESH_TOKEN", code=None, refresh_token=tokens["refresh_token"])
            tokens = client.ok("token", **given)
            assert {vendor.funds(first["access_token"]) for _ in range(2 * MOST)} == {"INVALID_SESSION_INFORMATION"}


def test_a_revoked_api_token_is_known_and_not_counted(desk: Desk) -> None:
    guesser = Guesser(desk, *GUESSED["v1-api-token"])
    token = desk.api_token("cashier")
    with writing(desk.world.engine) as session:
        found = api_tokens.find(session, token)
        assert found is not None
        api_tokens.revoke(session, found.id, now=clock.now())
    assert {guesser.send(token, GUESSER) for _ in range(2 * MOST)} == {401}


def test_an_access_token_that_was_revoked_is_known_and_not_counted(desk: Desk) -> None:
    client = InternetClient(desk)
    vendor = Vendor(client)
    token = vendor.tokens(vendor.code())["access_token"]
    client.ok("revokeAccessToWebApp", vendorId=vendor.id)
    assert {vendor.funds(token) for _ in range(2 * MOST)} == {"INVALID_SESSION_INFORMATION"}


def test_a_grant_without_its_code_is_not_counted(desk: Desk) -> None:
    client = InternetClient(desk)
    vendor = Vendor(client)
    given = vendor.request(code=vendor.code()) | {"code": None}
    assert {client.code("token", **given) for _ in range(2 * MOST)} == {"INVALID_GRANT_TYPE"}
