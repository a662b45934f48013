"""Unknown tokens: an address of the internet may try a few a minute, then none of its tokens is looked up."""

from typing import Any

import pytest

from tests.accounts_api.client import REST, RPC_PATH
from tests.desk import Desk
from wallet_hooks.console.visits import COOKIE
from wallet_hooks.web import failed_authentications
from wallet_hooks.web.throttle import Throttle

MOST = 3
GUESSER, OTHER = "8.8.8.8", "9.9.9.9"
FUNDS = {"jsonrpc": "2.0", "method": "AccountAPING/v1.0/getAccountFunds", "params": {}, "id": 1}


@pytest.fixture(autouse=True)
def few_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_authentications, "_failures", Throttle(MOST, seconds=3600))


class Guesser:
    """Sends requests with a token through a proxy, and returns their statuses."""

    def __init__(self, desk: Desk, method: str, path: str, header: str, body: Any = None) -> None:
        desk.world.configure(proxy_hops=1)
        self.client = desk.world.app.test_client(use_cookies=False)
        self.request = {"method": method, "path": path, "json": body}
        self.header = header

    def send(self, token: str, address: str) -> int:
        headers = {self.header: self.value(token), "X-Forwarded-For": address}
        return self.client.open(**self.request, headers=headers).status_code

    def value(self, token: str) -> str:
        if self.header == "Authorization":
            return f"Bearer {token}"
        return f"{COOKIE}={token}" if self.header == "Cookie" else token


GUESSED: dict[str, tuple[str, str, str, Any]] = {
    "v1": ("GET", "/v1/customers/", "Session", None),
    "v1-api-token": ("POST", "/v1/customers/ann/deposits/", "Authorization", {"amount": "1", "reference": "a"}),
    "limits": ("GET", "/gateway/limits/v1/player/limits/1007", "x-auth-token", None),
    "exports": ("GET", "/finance/exports/journal.csv", "Authorization", None),
    "json-rpc": ("POST", f"{RPC_PATH}/", "X-Authentication", FUNDS),
    "rest": ("POST", f"/exchange/account/{REST}/v1.0/getAccountFunds/", "X-Authentication", {}),
    "console": ("GET", "/console/", "Cookie", None),
}


@pytest.mark.parametrize("api", GUESSED)
def test_an_address_that_guesses_tokens_is_refused_for_a_while(desk: Desk, api: str) -> None:
    guesser = Guesser(desk, *GUESSED[api])
    refused = guesser.send("x", GUESSER)
    assert {guesser.send(f"guess-{number}", GUESSER) for number in range(MOST - 1)} == {refused}
    assert guesser.send("one more", GUESSER) == 429 != refused
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


def test_callbacks_are_not_refused_for_wrong_signatures_of_others(desk: Desk) -> None:
    guesser = Guesser(desk, "POST", "/bets", "Authorization", {"bets": []})
    assert 429 not in {guesser.send("x", GUESSER) for _ in range(2 * MOST)}
