"""`wallet-hooks customer change` sets what the API can, and every list that is empty says so."""

import json
from typing import Any

import pytest
from freezegun import freeze_time

from tests.desk import Desk
from tests.test_commands import OF_ANN, Shell
from tests.world import World
from wallet_hooks.customers.schemas import ChangedCustomerSchema

# The fields of PATCH /v1/customers/ beside the currency, which nobody can change: options, and the value shown then.
FIELDS: dict[str, tuple[list[str], Any]] = {
    "username": (["--username", "anna"], "anna"),
    "password": (["--password-stdin"], None),
    "group_id": (["--group", "other"], Desk.other_group),
    "name": (["--name", "Ann Smith"], "Ann Smith"),
    "roles": (["--role", "group_spy"], {"customer", "group_spy"}),
    "credit_limit": (["--credit-limit", "12.50"], ["EUR", 12.5]),
    "credit_limit_comment": (["--credit-limit", "12.50", "--comment", "on request"], None),
    "max_stake_per_event": (["--max-stake-per-event", "5"], ["EUR", 5]),
    "commission_rate": (["--commission-rate", "2.5"], {"date_from": "2026-07-02", "rate_pc": 2.5}),
    "active": (["--inactive"], False),
    "locked": (["--lock"], True),
    "expires_at": (["--expires-at", "2031-01-01T12:30:00"], "2031-01-01T12:30:00+00:00"),
}


@pytest.fixture
def shell(desk: Desk) -> Shell:
    return Shell(desk.world.settings.database_url)


def test_the_options_are_the_fields_of_the_api() -> None:
    assert set(FIELDS) == set(ChangedCustomerSchema().fields) - {"ccy_code"}


@pytest.mark.parametrize("field", FIELDS)
@freeze_time("2026-07-01T23:30:00Z")
def test_change_sets_a_field(desk: Desk, shell: Shell, field: str) -> None:
    options, value = FIELDS[field]
    shell.ok("customer", "change", *OF_ANN, *options, stdin="new passw0rd\n")
    seen_by = "rival" if field == "group_id" else "boss"
    username = "anna" if field == "username" else "ann"
    data = desk.ok(seen_by, "GET", f"/v1/customers/{username}/")
    data["roles"] = {role for role, is_assigned in data["roles"].items() if is_assigned}
    if field == "password":
        login = {"username": "ann", "password": "new passw0rd"}
        assert desk.call(None, "POST", "/v1/sessions/", login).status == 200
    elif field == "credit_limit_comment":
        (row,) = desk.ok("boss", "GET", "/v1/customers/ann/credit_limit_history/")
        assert row["comment"] == "on request"
    else:
        assert data[field] == value


@pytest.mark.parametrize("given", ["2031-07-31", "2031-07-31T12:30:00", "2031-07-31T12:30:00+02:00"])
def test_expiry_means_the_same_as_in_the_api(desk: Desk, shell: Shell, given: str) -> None:
    expected = desk.ok("boss", "PATCH", "/v1/customers/bob/", {"expires_at": given})["expires_at"]
    new = ("--brand", "acme", "--uid", "9", "--username", "zoe", "--currency", "EUR", "--group", "desk")
    shell.ok("customer", "change", *OF_ANN, "--expires-at", given)
    shell.ok("customer", "create", *new, "--expires-at", given)
    for username in ("ann", "zoe"):
        assert desk.ok("boss", "GET", f"/v1/customers/{username}/")["expires_at"] == expected


def test_optional_fields_can_be_removed(desk: Desk, shell: Shell) -> None:
    shell.ok("customer", "change", *OF_ANN, "--expires-at", "2031-01-01", "--max-stake-per-event", "5")
    shell.ok("customer", "change", *OF_ANN, "--expires-at", "none", "--max-stake-per-event", "none")
    data = desk.ok("boss", "GET", "/v1/customers/ann/")
    assert (data["expires_at"], data["max_stake_per_event"]) == (None, None)


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 2, "no change given"),
        (["--comment", "why"], 1, "comment_without_limit"),
        (["--commission-from", "2026-01-01"], 2, "--commission-rate"),
        (["--username", "bob"], 1, "taken"),
        (["--username", "b o b"], 1, "bad_username"),
        (["--name", "x" * 201], 1, "between 0 and 200"),
        (["--expires-at", "tomorrow"], 1, "bad_expires_at"),
        (["--group", "nowhere"], 1, "no group"),
    ],
    ids=str,
)
def test_an_invalid_change_changes_nothing(
    desk: Desk, shell: Shell, options: list[str], status: int, message: str
) -> None:
    before = desk.ok("boss", "GET", "/v1/customers/ann/")
    ran = shell.run("customer", "change", *OF_ANN, *options)
    assert (ran.returncode, message in ran.stderr) == (status, True), ran.stderr
    assert desk.ok("boss", "GET", "/v1/customers/ann/") == before


LISTS = {
    "no brands": ["brand", "list"],
    "no providers": ["provider", "list"],
    "no tokens": ["token", "list"],
    "no groups": ["group", "list"],
    "no customers": ["customer", "list"],
    "no bookmaker accounts": ["bookie", "list"],
    "no exceptions": ["exceptions", "list"],
}


@pytest.mark.parametrize("empty", LISTS)
def test_an_empty_list_says_so(empty_world: World, empty: str) -> None:
    shell = Shell(empty_world.settings.database_url)
    assert shell.ok(*LISTS[empty]) == f"{empty}\n"
    assert json.loads(shell.ok(*LISTS[empty], "--json")) == []


def test_an_empty_list_of_one_customer_says_so(world: World) -> None:
    shell = Shell(world.settings.database_url)
    assert shell.ok("customer", "credit-history", *OF_ANN) == "no credit limits\n"
    assert json.loads(shell.ok("customer", "credit-history", *OF_ANN, "--json")) == []
    assert shell.ok("limit", "show", *OF_ANN) == "no limits\n"
    assert json.loads(shell.ok("limit", "show", *OF_ANN, "--json")) == {"limits": [], "left": {}}


def test_a_list_with_rows_does_not_say_that_it_is_empty(desk: Desk, shell: Shell) -> None:
    desk.api_token("finance")
    for empty, command in LISTS.items():
        rows = json.loads(shell.ok(*command, "--json"))
        assert len(shell.ok(*command).splitlines()) == max(1, len(rows))
        assert (empty in shell.ok(*command)) == (not rows)
    assert json.loads(shell.ok("customer", "list", "--brand", "nordbet", "--json"))[0]["username"] == "freja"


def test_the_list_of_tokens_names_the_brand_of_each(world: World) -> None:
    shell = Shell(world.settings.database_url)
    shell.ok("token", "create", "--role", "finance", "--name", "all")
    shell.ok("token", "create", "--role", "qa", "--name", "own", "--brand", "acme")
    assert [row["brand"] for row in json.loads(shell.ok("token", "list", "--json"))] == [None, "acme"]
    assert shell.ok("token", "list").splitlines()[1].endswith("for brand acme alone")
