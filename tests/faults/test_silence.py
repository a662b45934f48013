"""PostgreSQL falls silent while the other APIs wait for it: each answers in time, in its own envelope."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests import postgresql
from tests.betslips.test_messages import pmm
from tests.console.staff import PASSWORD, Browser, add_staff, csrf_token
from tests.desk import Desk
from tests.faults.network import Network, network
from wallet_hooks import app
from wallet_hooks.settings import Settings, TimeOuts

SHORT = TimeOuts(0.5, 0.5)
LEEWAY = 10.0  # seconds for what is not a wait for the database: without a bound, it would last for ever


class Request(NamedTuple):
    path: str
    body: Any = None
    headers: dict[str, str] | None = None


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def between(desk: Desk, postgresql_server: postgresql.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The network to the database of a service that has short time-outs everywhere."""
    for name in ("call_time_outs", "message_time_outs", "account_time_outs", "page_time_outs"):
        monkeypatch.setattr(Settings, name, SHORT)
    add_staff(desk.world, "operations")
    monkeypatch.setattr(app, "_LONGEST_WAIT", SHORT.answer)
    with network(postgresql_server.socket) as one:
        url = desk.world.settings.database_url
        desk.world.configure(database_url=one.url(desk.world.database))
        yield one
        desk.world.configure(database_url=url)


@pytest.mark.parametrize(
    ("api", "status"),
    [
        ("v1", 503),
        ("gateway", 503),
        ("account API", 504),
        ("betslip messages", 503),
        ("console", 503),
        ("finance", 503),
    ],
)
def test_a_silent_database_holds_no_api(desk: Desk, between: Network, api: str, status: int) -> None:
    client = desk.world.client
    client.post("/console/login", data={"username": "operations", "password": PASSWORD})
    path, body, headers = requests_by_api(desk)[api]

    def send() -> Any:
        return client.get(path, headers=headers) if body is None else client.post(path, json=body, headers=headers)

    assert send().status_code == 200
    with between.silent():
        began = time.monotonic()
        answer = send()
        seconds = time.monotonic() - began
    assert answer.status_code == status
    assert seconds < SHORT.answer + LEEWAY
    assert send().status_code == 200


def test_a_silent_database_does_not_hold_a_form_for_ever(desk: Desk, between: Network) -> None:
    """Each of its waits is bounded: connections are tried again."""
    browser = Browser(desk.world)
    browser.sign_in("operations")
    form = {"csrf_token": csrf_token(browser.page("/console/ledger")), "day": "2026-01-01", "reason": "late result"}
    with between.silent():
        began = time.monotonic()
        assert browser.client.post("/console/ledger/reopen", data=form).status_code == 503
        assert time.monotonic() - began < 3 * SHORT.answer + LEEWAY
    assert browser.client.post("/console/ledger/reopen", data=form).status_code == 400


def requests_by_api(desk: Desk) -> dict[str, Request]:
    session, manager = desk.token("ann"), desk.token("boss")
    """Return a request to each API but the callbacks; the console's needs a session."""
    return {
        "v1": Request("/v1/customers/", headers={"Session": manager}),
        "gateway": Request("/gateway/limits/v1/player/limits/1007", headers={"x-auth-token": session}),
        "account API": Request(
            "/exchange/account/rest/v1.0/getAccountDetails/",
            {},
            {"X-Authentication": session, "X-Application": desk.vendor("ann", "app")},
        ),
        "betslip messages": Request("/betslips/messages", [pmm()]),
        "console": Request("/console/"),
        "finance": Request(
            "/finance/exports/trial-balance.csv", headers={"Authorization": f"Bearer {desk.api_token('finance')}"}
        ),
    }
