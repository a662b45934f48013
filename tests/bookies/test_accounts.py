"""Bookmaker accounts: who may use which, and fetching balances from a bookmaker."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from freezegun import freeze_time

from tests.desk import Desk
from tests.world import JsonReply
from wallet_hooks.bookies import service
from wallet_hooks.bookies.models import BookieAccount
from wallet_hooks.bookies.simulator import Simulator
from wallet_hooks.customers.groups import customer_by_username
from wallet_hooks.customers.models import Group
from wallet_hooks.database import reading, writing

ACCOUNTS = "/v1/customers/ann/bookie_accounts/"
KICK = f"{ACCOUNTS}kick_balance/"
PREVIEW = "/v1/customers/ann/bookie_accounts_preview/"
VIEWER = {"roles": {"account_viewer": True}}


@pytest.fixture
def bookmaker() -> Iterator[Simulator]:
    """A simulated bookmaker over HTTP, on a free port."""
    balances = {"desk one/ü": ("EUR", "123.45"), "desk2": ("EUR", "-0.50"), "yen": ("JPY", "5000")}
    with Simulator(0, balances) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def accounts(desk: Desk, bookmaker: Simulator) -> list[int]:
    """The ids of two accounts of group desk and one of another group."""
    url = f"http://127.0.0.1:{bookmaker.server_port}/"
    with writing(desk.world.engine) as session:
        service.set_bookie(session, code="simbook", adapter="http-json", url=url, secret=None)
        facts: list[tuple[int, str, str, list[str]]] = [
            (desk.group, "desk one/ü", "EUR", ["asia", "fast"]),
            (desk.group, "desk2", "EUR", ["europe"]),
            (desk.other_group, "yen", "JPY", ["asia"]),
        ]
        return [
            service.add_account(
                session,
                group=session.get_one(Group, group_id),
                bookie="simbook",
                username=username,
                currency=currency,
                stake_share="12.5",
                tags=tags,
            ).id
            for group_id, username, currency, tags in facts
        ]


def set_rules(desk: Desk, document: Any) -> None:
    with writing(desk.world.engine) as session:
        service.set_tag_rules(session, customer_by_username(session, "ann"), document)


def kick(desk: Desk, who: str, account_id: int) -> JsonReply:
    return desk.call(who, "POST", KICK, {"account_id": account_id})


def test_a_listed_account_has_all_fields(desk: Desk, accounts: list[int]) -> None:
    row = desk.ok("boss", "GET", f"/v1/groups/{desk.group}/bookie_accounts/")[0]
    assert row == {
        "id": accounts[0],
        "bookie": "simbook",
        "username": "desk one/ü",
        "enabled": True,
        "group_id": desk.group,
        "agent": "",
        "stake_share": 12.5,
        "tags": ["asia", "fast"],
        "ccy_code": "EUR",
        "balance": None,
        "balance_at": None,
    }


def test_a_customer_has_the_enabled_accounts_that_its_rules_choose(desk: Desk, accounts: list[int]) -> None:
    assert [row["id"] for row in desk.ok("ann", "GET", ACCOUNTS)] == accounts[:2]
    set_rules(desk, [{"any": ["europe"], "action": "exclude"}, {"action": "include"}])
    assert [row["id"] for row in desk.ok("ann", "GET", ACCOUNTS)] == accounts[:1]
    with writing(desk.world.engine) as session:
        session.get_one(BookieAccount, accounts[0]).enabled = False
    assert desk.ok("ann", "GET", ACCOUNTS) == []


def test_only_account_viewers_and_managers_see_usernames(desk: Desk, accounts: list[int]) -> None:
    assert {row["username"] for row in desk.ok("ann", "GET", ACCOUNTS)} == {None}
    assert {row["username"] for row in desk.ok("boss", "GET", ACCOUNTS)} == {"desk one/ü", "desk2"}
    desk.ok("boss", "PATCH", "/v1/customers/ann/", VIEWER)
    assert {row["username"] for row in desk.ok("ann", "GET", ACCOUNTS)} == {"desk one/ü", "desk2"}


def test_a_preview_names_the_deciding_rule_and_changes_nothing(desk: Desk, accounts: list[int]) -> None:
    body = {
        "tag_rules": [
            {"all": ["europe", "prod"], "none": ["slow"], "action": "exclude"},
            {"any": ["europe"], "action": "include"},
        ],
        "env_tags": ["prod"],
    }
    for env_tags, decided in ((["prod"], [(False, None), (False, 0)]), ([], [(False, None), (True, 1)])):
        rows = desk.ok("boss", "POST", PREVIEW, body | {"env_tags": env_tags})
        assert [(row["included"], row["rule"]) for row in rows] == decided
    assert len(desk.ok("ann", "GET", ACCOUNTS)) == 2


@pytest.mark.parametrize(
    "tag_rules",
    [
        None,
        {},
        "include",
        [{"any": ["a"]}],
        [{"action": "maybe"}],
        [{"any": "a", "action": "include"}],
        [{"any": [1], "action": "include"}],
        [{"any": [""], "action": "include"}],
        [{"some": ["a"], "action": "include"}],
        [1],
        [{"action": "include"}] * 101,
    ],
    ids=str,
)
def test_invalid_tag_rules_are_refused(shared_desk: Desk, tag_rules: Any) -> None:
    reply = shared_desk.call("boss", "POST", PREVIEW, {"tag_rules": tag_rules})
    assert (reply.status, reply.body["code"]) == (400, "validation_error")
    assert shared_desk.call("boss", "POST", PREVIEW, {}).body["data"] == {
        "tag_rules": ["Missing data for required field."]
    }


def test_a_balance_is_fetched_over_http_stored_and_returned(desk: Desk, accounts: list[int]) -> None:
    with freeze_time("2026-05-01T12:00:00Z"):
        data = desk.ok("boss", "POST", KICK, {"account_id": accounts[0]})
    assert data == {"balance": ["EUR", Decimal("123.45")], "timestamp": "2026-05-01T12:00:00+00:00"}
    row = desk.ok("boss", "GET", ACCOUNTS)[0]
    assert (str(row["balance"][1]), row["balance_at"]) == ("123.45", "2026-05-01T12:00:00+00:00")
    assert str(desk.ok("boss", "POST", KICK, {"account_id": accounts[1]})["balance"][1]) == "-0.50"


def test_who_may_kick_a_balance(desk: Desk, accounts: list[int]) -> None:
    assert kick(desk, "ann", accounts[0]).status == 403
    desk.ok("boss", "PATCH", "/v1/customers/ann/", VIEWER)
    assert kick(desk, "ann", accounts[0]).status == 200
    set_rules(desk, [{"any": ["europe"], "action": "include"}])
    assert kick(desk, "ann", accounts[0]).status == 404, "no longer among the accounts that it may use"
    assert kick(desk, "boss", accounts[2]).status == 404
    assert kick(desk, "rival", accounts[2]).status == 200
    assert kick(desk, "boss", 999).status == 404


@pytest.mark.parametrize(
    "answer",
    [("EUR", "a lot"), ("EUR", "1.234"), ("EUR", "1e999"), ("USD", "1.00"), ("EUR", ""), None],
    ids=str,
)
def test_an_invalid_answer_of_a_bookmaker_leaves_the_last_balance(
    desk: Desk, accounts: list[int], bookmaker: Simulator, answer: tuple[str, str] | None
) -> None:
    desk.ok("boss", "POST", KICK, {"account_id": accounts[0]})
    if answer is None:
        del bookmaker.balances["desk one/ü"]
    else:
        bookmaker.balances["desk one/ü"] = answer
    reply = kick(desk, "boss", accounts[0])
    assert (reply.status, reply.body["code"]) == (502, "bookie_unavailable")
    with reading(desk.world.engine) as session:
        assert session.get_one(BookieAccount, accounts[0]).balance == 12345


def test_errors_of_a_bookmaker_are_reported_without_its_secret(
    desk: Desk, accounts: list[int], bookmaker: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookmaker.secret = "s3cret"
    assert kick(desk, "boss", accounts[0]).body["data"] == {"message": "simbook answered with status 401"}
    url = f"http://127.0.0.1:{bookmaker.server_port}"
    with writing(desk.world.engine) as session:
        service.set_bookie(session, code="simbook", adapter="http-json", url=url, secret="env:SIMBOOK_SECRET")
    for secret in ("", "s3cret\nX-Injected: 1", "ünsäglich"):
        monkeypatch.setenv("SIMBOOK_SECRET", secret)
        data = {"message": "simbook: its secret is missing, or is not printable ASCII"}
        assert kick(desk, "boss", accounts[0]).body["data"] == data
    monkeypatch.setenv("SIMBOOK_SECRET", "s3cret\n")
    assert kick(desk, "boss", accounts[0]).status == 200
    with writing(desk.world.engine) as session:
        service.set_bookie(session, code="simbook", adapter="http-json", url="http://127.0.0.1:1", secret=None)
    reply = kick(desk, "boss", accounts[0])
    assert (reply.status, reply.body["data"]) == (502, {"message": "simbook did not answer (NewConnectionError)"})


def test_a_slow_answer_of_a_bookmaker_times_out(
    desk: Desk, accounts: list[int], bookmaker: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wallet_hooks.bookies.adapters._ANSWER_TIMEOUT", 0.05)
    bookmaker.pause = 0.02
    reply = kick(desk, "boss", accounts[0])
    assert (reply.status, reply.body["data"]) == (502, {"message": "simbook did not answer (TimeoutError)"})


def test_a_late_answer_does_not_replace_a_newer_balance(desk: Desk, accounts: list[int]) -> None:
    newer = datetime(2026, 5, 1, tzinfo=UTC)
    with writing(desk.world.engine) as session:
        service.store_balance(session, accounts[0], 200, queried_at=newer)
        stored = service.store_balance(session, accounts[0], 100, queried_at=newer - timedelta(seconds=1))
        assert (stored.balance, stored.balance_at) == (200, newer)
