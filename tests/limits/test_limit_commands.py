"""`wallet-hooks limit`: options that are refused."""

import json
from datetime import UTC, datetime

import pytest

from tests.test_commands import OF_ANN, Shell
from tests.world import World
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.limits.service import player_of, set_reality_check

LIMIT = ("--type", "bet", "--frame", "day")


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        ("set", ("--amount", "5", "--reason", "x", "--by", "x" * 101), "bad_by"),
        ("set", ("--amount", "5", "--reason", "x", "--by", " "), "bad_by"),
        ("set", ("--amount", "5", "--reason", "  "), "bad_reason"),
        ("clear", ("--reason", "  "), "bad_reason"),
    ],
    ids=str,
)
def test_invalid_name_or_reason_of_an_operator_limit_is_refused(
    world: World, command: str, options: tuple[str, ...], code: str
) -> None:
    shell = Shell(world.settings.database_url)
    ran = shell.run("limit", command, *OF_ANN, *LIMIT, *options)
    assert (ran.returncode, code in ran.stderr) == (1, True), ran.stderr
    assert shell.ok("limit", "show", *OF_ANN) == "no limits\n"


def test_a_reality_check_is_shown_with_the_time_at_which_it_was_set(world: World) -> None:
    shell, now = Shell(world.settings.database_url), datetime(2026, 11, 20, 12, tzinfo=UTC)
    with writing(world.engine) as session:
        customer, brand = customer_by_uid(session, client="acme", uid="7")
        set_reality_check(session, player_of(customer, brand_facts(brand)), "60_min", now=now)
    expected = {"period": "60_min", "set_at": "2026-11-20T12:00:00+00:00"}
    assert json.loads(shell.ok("limit", "show", *OF_ANN, "--json"))["reality_check"] == expected
    assert "reality check: 60_min, set at 2026-11-20T12:00:00+00:00" in shell.ok("limit", "show", *OF_ANN)
