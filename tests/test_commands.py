"""Commands for operators, run in this process with command-line arguments. test_docs.py runs them as processes."""

import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from sqlalchemy import text

from tests.limits.player import GatewayPlayer
from tests.world import OK, World, bet, result
from wallet_hooks.cli import main
from wallet_hooks.database import reading
from wallet_hooks.identity.service import brand_by_client


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Shell:
    """Runs `wallet-hooks` on one database and captures output and exit status."""

    def __init__(self, database_url: str, **settings: str) -> None:
        self.environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": database_url} | settings

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment | environment),
            patch.object(sys, "argv", ["wallet-hooks", *arguments]),
            patch.object(sys, "stdin", io.StringIO(stdin)),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def ok(self, *arguments: str, stdin: str = "") -> str:
        ran = self.run(*arguments, stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def shell(engine_name: str, request: pytest.FixtureRequest) -> Shell:
    """A shell on the database of the test's `world` if it has one, else on an empty database."""
    del engine_name  # parametrizes the test by engine
    if "world" in request.fixturenames:
        return Shell(request.getfixturevalue("world").settings.database_url)
    return Shell(request.getfixturevalue("database_url"))


BRAND = ["brand", "add", "--id", "1007", "--client", "acme", "--currency", "EUR", "--timezone", "Europe/London"]
ANN = ["customer", "create", "--brand", "acme", "--uid", "7", "--username", "ann", "--currency", "EUR"]
OF_ANN = ["--brand", "acme", "--uid", "7"]


def test_set_up_a_brand_and_settle_a_bet(shell: Shell, empty_world: World) -> None:
    shell.ok("db", "upgrade")
    shell.ok(*BRAND, "--policy", "ukgc")
    shell.ok("provider", "add", "--game", "betflex", "--brand", "acme")
    roles = ["--credit-limit", "0", "--role", "customer", "--role", "bet_placer", "--password-stdin"]
    shell.ok(*ANN, *roles, stdin="correct horse 1\n")
    shell.ok("cashier", "deposit", *OF_ANN, "--amount", "100.00", "--reference", "R1")
    assert empty_world.place(bet()) == OK
    shown = json.loads(shell.ok("customer", "show", *OF_ANN, "--json"))
    assert {key: shown[key] for key in ("balance", "available", "open_stakes", "credit_limit", "limits")} == {
        "balance": "90.00", "available": "90.00", "open_stakes": "10.00", "credit_limit": "0.00", "limits": {},
    }  # fmt: skip
    empty_world.settle(result())
    wager = json.loads(shell.ok("wager", "show", "--brand", "acme", "--game", "betflex", "--uid", "9", "--json"))
    assert (wager["status"], wager["stake"], wager["payout"]) == ("settled", "10.00", "25.00")
    assert wager["ip"] == bet()["user"]["ip"]
    assert [len(wager[key]) for key in ("transactions", "deliveries")] == [2, 2]
    listed = json.loads(shell.ok("customer", "list", "--json"))
    assert listed == [{key: listed[0][key] for key in listed[0]} | {"uid": "7", "username": "ann", "balance": "115.00"}]
    assert "rules hold" in shell.ok("verify")


def test_a_provider_keeps_what_is_not_given(shell: Shell, world: World, tmp_path: Path) -> None:
    add = ["provider", "add", "--game", "betflex", "--brand", "acme"]
    secret = tmp_path / "secret"
    secret.write_text("x" * 32)
    said = shell.ok(*add, "--auth", "hmac", "--secret", "env:MISSING", "--allow", "203.0.113.0/24")
    assert said == "provider betflex for acme: hmac, from 203.0.113.0/24\n"
    assert "env:MISSING cannot be read here" in shell.run(*add).stderr

    def listed() -> dict[str, Any]:
        rows: list[dict[str, Any]] = json.loads(shell.ok("provider", "list", "--json"))
        return next(row for row in rows if (row["brand"], row["game"]) == ("acme", "betflex"))

    shell.ok(*add, "--secret", "env:MISSING", "--secret", f"file:{secret}")
    kept = {"game": "betflex", "brand": "acme", "auth": "hmac", "allow": ["203.0.113.0/24"]}
    both = {"secrets": ["env:MISSING", f"file:{secret}"], "unreadable": ["env:MISSING"]}
    assert listed() == kept | both
    shell.ok(*add, "--secret", f"file:{secret}")
    assert listed() == kept | {"secrets": [f"file:{secret}"], "unreadable": []}
    assert shell.run(*add, "--auth", "basic").returncode == 1, "another method needs another secret"
    shell.ok(*add, "--auth", "none", "--allow", "any")
    assert listed() == kept | {"auth": "none", "secrets": [], "unreadable": [], "allow": []}


def test_a_reference_is_idempotent_and_conflicts_with_other_facts(shell: Shell, world: World) -> None:
    for _ in range(2):
        shell.ok("cashier", "deposit", *OF_ANN, "--amount", "5.00", "--reference", "R1")
        shell.ok("cashier", "withdraw", *OF_ANN, "--amount", "3.00", "--reference", "R1")
    assert world.balance() == "102.00"
    for amount in ("6.00", "5.01"):
        ran = shell.run("cashier", "deposit", *OF_ANN, "--amount", amount, "--reference", "R1")
        assert (ran.returncode, "conflict" in ran.stderr) == (1, True)
    assert world.balance() == "102.00"


def test_a_withdrawal_is_limited_to_the_balance(shell: Shell, world: World) -> None:
    ran = shell.run("cashier", "withdraw", *OF_ANN, "--amount", "100.01", "--reference", "R")
    assert (ran.returncode, "insufficient_funds" in ran.stderr) == (1, True)
    shell.ok("cashier", "withdraw", *OF_ANN, "--amount", "100.00", "--reference", "R")
    shell.ok("cashier", "withdraw", *OF_ANN, "--amount", "100.00", "--reference", "R")
    assert world.balance() == "0.00"


def test_an_adjustment_goes_both_ways_and_needs_a_reason(shell: Shell, world: World) -> None:
    shell.ok("cashier", "adjust", *OF_ANN, "--amount=-30.00", "--reference", "A", "--reason", "chargeback")
    assert world.balance() == "70.00"
    assert world.house_balance("expenses:adjustments:acme") == -3000
    assert shell.run("cashier", "adjust", *OF_ANN, "--amount", "1", "--reference", "B").returncode == 2


def test_an_operator_sets_shows_and_clears_a_limit(shell: Shell, world: World) -> None:
    bet_limit = ["--type", "bet", "--frame", "week"]
    shell.ok("limit", "set", *OF_ANN, *bet_limit, "--amount", "50", "--reason", "markers of harm", "--by", "rg team")
    shell.ok("limit", "set", *OF_ANN, *bet_limit, "--amount", "5", "--reason", "again")
    shell.ok("limit", "set", *OF_ANN, "--type", "time_limit", "--amount", "60", "--reason", "x")
    assert world.place(bet()).body == {"error": "bet_limit_exceeded"}
    limits = json.loads(shell.ok("customer", "show", *OF_ANN, "--json"))["limits"]
    assert limits == {"bet_week": "5.00", "time_limit": "60 minutes"}
    shell.ok("limit", "clear", *OF_ANN, *bet_limit, "--reason", "all is well")
    assert world.place(bet(10)) == OK
    shown = json.loads(shell.ok("limit", "show", *OF_ANN, "--json"))
    assert [(row["amount"], row["status"], row["changed_by"], row["reason"]) for row in shown["limits"]] == [
        ("50.00", "REPLACED", "rg team", "markers of harm"),
        ("5.00", "REPLACED", "operator", "again"),
        ("60 minutes", "ACTIVE", "operator", "x"),
    ]
    assert shown["limits"][1]["end_reason"] == "all is well"
    assert "markers of harm" in shell.ok("limit", "show", *OF_ANN)
    for wrong in (
        ["clear", *OF_ANN, *bet_limit, "--reason", "x"],
        ["set", *OF_ANN, "--type", "bet", "--amount", "5", "--reason", "x"],
        ["set", *OF_ANN, "--type", "time_limit", "--frame", "day", "--amount", "5", "--reason", "x"],
        ["set", *OF_ANN, "--type", "time_limit", "--amount", "5.5", "--reason", "x"],
        ["set", *OF_ANN, *bet_limit, "--amount", "1.234", "--reason", "x"],
        ["set", *OF_ANN, *bet_limit, "--amount", "5"],
    ):
        assert shell.run("limit", *wrong).returncode in (1, 2)


def test_changed_by_of_a_player_is_shown_as_a_label(shell: Shell, world: World) -> None:
    player = GatewayPlayer(world)
    player.set(changed_by="operator", bet=("week", "10"))
    player.set(loss=("week", "10"))
    shown = shell.ok("limit", "show", *OF_ANN)
    assert ("by player (label 'operator')" in shown, "by player, " in shown) == (True, True)
    rows = json.loads(shell.ok("limit", "show", *OF_ANN, "--json"))["limits"]
    assert [(row["changed_by"], row["label"]) for row in rows] == [("player", "operator"), ("player", None)]


def test_defaults_that_apply_are_shown_with_a_customers_limits(shell: Shell, world: World) -> None:
    shell.ok("brand", "policy", "--client", "acme", "--preset", "germany")
    assert json.loads(shell.ok("customer", "show", *OF_ANN, "--json"))["limits"] == {"deposit_month": "1000.00"}
    assert json.loads(shell.ok("limit", "show", *OF_ANN, "--json")) == {"limits": [], "left": {"deposit": "1000.00"}}


def test_a_brands_policy_is_set_and_checked(shell: Shell, world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text('{"cooldown": "72h", "week_start": "sunday", "caps": {"bet": {"EUR": "1000"}}}')
    shell.ok("brand", "policy", "--client", "acme", "--preset", "sweden", str(file))
    for wrong in (
        "[]",
        "{",
        '{"cooldown": "soon"}',
        '{"colour": "red"}',
        '{"caps": {"bet": {"EUR": "x"}}}',
        '{"caps": 1}',
        '{"session_gap": "0m"}',
        '{"session_gap": "8d"}',
        '{"defaults_apply": 1}',
    ):
        file.write_text(wrong)
        assert shell.run("brand", "policy", "--client", "acme", str(file)).returncode == 1, wrong
    file.write_bytes(b"\xff")
    assert "FILE: JSON in UTF-8 is expected" in shell.run("brand", "policy", "--client", "acme", str(file)).stderr


def test_a_brands_policy_is_shown_and_keeps_what_is_not_given(shell: Shell, world: World, tmp_path: Path) -> None:
    def stored() -> Any:
        with reading(world.engine) as session:
            policy = brand_by_client(session, "acme").policy
        return policy["preset"], policy.get("limits", {})

    file = tmp_path / "policy.json"
    policy = ("brand", "policy", "--client", "acme")
    assert "no preset, 0 rules of its own" in shell.ok(*policy)
    shell.ok(*policy, "--preset", "sweden")
    file.write_text('{"cooldown": "96h"}', encoding="utf-8-sig")
    assert "not as the regulator's preset says: cooldown" in shell.run(*policy, str(file)).stderr
    assert stored() == ("sweden", {"cooldown": "96h"}), "a file keeps the preset"
    shown = shell.ok(*policy)
    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["cooldown", '"96h"', "(own)"],
        ["confirm_required", "false", "(preset)"],
        ["wait_period_end", "true", "(preset)"],
    ]
    assert stored() == ("sweden", {"cooldown": "96h"}), "showing does not change the policy"
    assert "preset sweden" in shell.ok("brand", "list")
    shell.ok(*policy, "--preset", "germany")
    assert stored() == ("germany", {"cooldown": "96h"}), "a preset keeps the brand's own rules"
    shell.ok(*policy, "--preset", "none")
    assert stored() == (None, {"cooldown": "96h"})
    assert "no preset" in shell.ok("brand", "list")
    assert shell.run(*policy[:3], "nobody").returncode == 1


def test_rules_under_which_no_raise_can_take_effect_are_refused(shell: Shell, world: World, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    policy = ("brand", "policy", "--client", "acme")
    impossible = {
        '{"swap_delete_enabled": false}': "swap_delete_enabled",
        '{"swap_delete_enabled": false, "confirm_required": true}': "swap_delete_enabled",
        '{"pending_ttl": "0h"}': "pending_ttl",
    }
    for rules, name in impossible.items():
        file.write_text(rules)
        ran = shell.run(*policy, "--preset", "ukgc", str(file))
        assert (ran.returncode, name in ran.stderr) == (1, True), rules
    file.write_text('{"swap_delete_enabled": false}')
    shell.ok(*policy, "--preset", "germany", str(file))
    assert "swap_delete_enabled" in shell.run(*policy, "--preset", "ukgc").stderr, "a preset can conflict too"
    file.write_text('{"swap_delete_enabled": false, "confirm_required": false}')
    shell.ok(*policy, "--preset", "ukgc", str(file))


def test_customers_are_imported_all_or_none(shell: Shell, world: World, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    head = "brand,uid,username,currency,balance,credit_limit\n"
    file.write_text(head + "acme,20,twenty,EUR,12.50,5\nacme,21,twentyone,JPY,300,0\n")
    assert "2 customers imported" in shell.ok("customer", "import", str(file))
    assert (world.balance("20"), world.balance("21")) == ("12.50", "300")
    for line, message in {
        "acme,22,x,EUR,1.234,0": "line 3",
        "acme,22,x,EUR": "line 3",
        "acme,20,x,EUR,1,0": "taken",
        "acme,22,twenty,EUR,1,0": "taken",
        "nobody,22,x,EUR,1,0": "no brand",
        "acme,22,x,QQQ,1,0": "QQQ",
    }.items():
        file.write_text(f"{head}acme,30,thirty,EUR,1,0\n{line}\n")
        ran = shell.run("customer", "import", str(file))
        assert (ran.returncode, message in ran.stderr) == (1, True), ran.stderr
    file.write_bytes(head.encode() + b"\xff\xfe\n")
    assert shell.run("customer", "import", str(file)).returncode == 1
    assert world.count("customer") == 3


@pytest.mark.parametrize("id_", [" 30", "30 ", " "])
def test_ids_with_outer_white_space_are_refused(shell: Shell, world: World, tmp_path: Path, id_: str) -> None:
    shell.ok("group", "add", "--brand", "acme", "--name", "desk")
    shell.ok("bookie", "add", "--code", "sim", "--url", "http://127.0.0.1:1/")
    customers, events = tmp_path / "customers.csv", tmp_path / "events.csv"
    customers.write_text(f"brand,uid,username,currency,balance,credit_limit\nacme,{id_},thirty,EUR,1,0\n")
    events.write_text(f"game,coupon,event\nbetflex,{id_},final\n")
    account = ["--group", "desk", "--bookie", "sim", "--currency", "EUR"]
    for command in (
        ["customer", "create", "--brand", "acme", "--uid", id_, "--username", "thirty", "--currency", "EUR"],
        ["customer", "import", str(customers)],
        ["group", "add", "--brand", "acme", "--name", id_],
        ["cashier", "deposit", *OF_ANN, "--amount", "1", "--reference", id_],
        ["bookie", "account", "--brand", "acme", *account, "--username", id_],
        ["event", "map", str(events)],
    ):
        ran = shell.run(*command)
        assert (ran.returncode, "white space" in ran.stderr.lower()) == (1, True), (command, ran)
    tables = ("customer", "customer_group", "payment", "bookie_account", "coupon_event")
    assert [world.count(table) for table in tables] == [1, 1, 0, 0, 0]


def test_exceptions_are_listed_and_resolved(shell: Shell, world: World) -> None:
    world.settle(result(404))
    (row,) = json.loads(shell.ok("exceptions", "list", "--json"))
    assert (row["kind"], row["bet"]) == ("unknown_bet", "404")
    assert "bad_reason" in shell.run("exceptions", "resolve", str(row["id"]), "--reason", " ").stderr
    shell.ok("exceptions", "resolve", str(row["id"]), "--reason", "provider's test")
    assert json.loads(shell.ok("exceptions", "list", "--json")) == []
    assert "provider's test" in shell.ok("exceptions", "list", "--all")
    assert shell.run("exceptions", "resolve", str(row["id"]), "--reason", "again").returncode == 1


def test_a_wager_is_resettled_by_an_operator(shell: Shell, world: World) -> None:
    world.place(bet(overdraw="20.00"))
    of_bet = ["--brand", "acme", "--game", "betflex", "--uid", "9"]
    ran = shell.run("wager", "resettle", *of_bet, "--payout", "5.00", "--reason", "too early")
    assert (ran.returncode, "not_settled" in ran.stderr) == (1, True)
    world.settle(result(payout="20.00"))
    assert "bad_reason" in shell.run("wager", "resettle", *of_bet, "--payout", "500.00", "--reason", " ").stderr
    with patch("wallet_hooks.sportsbook.settling.MAX_BALANCE", 500_00):
        too_much = shell.run("wager", "resettle", *of_bet, "--payout", "500.01", "--reason", "ticket 11")
    assert "payout_out_of_range" in too_much.stderr
    assert world.balance() == "110.00"
    shell.ok("wager", "resettle", *of_bet, "--payout", "500.00", "--reason", "ticket 12")
    assert world.balance() == "590.00"
    assert [row["kind"] for row in json.loads(shell.ok("exceptions", "list", "--json"))] == ["payout_above_overdraw"]
    assert "ticket 12" not in shell.ok("exceptions", "list")
    shell.ok("wager", "show", *of_bet)
    assert "rules hold" in shell.ok("verify")


def test_a_resettlement_can_raise_two_exceptions(shell: Shell, world: World) -> None:
    world.place(bet(overdraw="20.00"))
    world.settle(result(payout="100.00"))
    shell.ok("cashier", "withdraw", *OF_ANN, "--amount", "190.00", "--reference", "W")
    of_bet = ["--brand", "acme", "--game", "betflex", "--uid", "9"]
    shell.ok("wager", "resettle", *of_bet, "--payout", "50.00", "--reason", "ticket 13")
    kinds = {row["kind"] for row in json.loads(shell.ok("exceptions", "list", "--json"))}
    assert kinds == {"payout_above_overdraw", "debt_after_correction"}
    assert world.balance() == "-50.00"


def test_verify_reports_a_changed_balance(shell: Shell, world: World) -> None:
    from wallet_hooks.database import writing  # noqa: PLC0415

    with writing(world.engine) as session:
        session.execute(text("UPDATE ledger_account SET balance = balance - 1 WHERE name = 'players:1:UK'"))
    ran = shell.run("verify", "--json")
    assert ran.returncode == 1
    assert json.loads(ran.stdout)[0]["where"] == "account players:1:UK EUR"


def test_the_demo_needs_an_empty_database(shell: Shell) -> None:
    shell.ok("demo")
    assert len(json.loads(shell.ok("customer", "list", "--json"))) == 10
    assert shell.run("demo").returncode == 1
    shell.ok("demo", "--if-empty")
    assert "rules hold" in shell.ok("verify")


BAD: list[tuple[Sequence[str], int]] = [
    (["nosuch"], 2),
    (["customer", "show", "--brand", "acme", "--uid", "\udcff"], 1),
    (["customer", "show", "--brand", "acme", "--uid", "404"], 1),
    (["wager", "show", "--brand", "acme", "--game", "betflex", "--uid", "404"], 1),
    (["cashier", "deposit", *OF_ANN, "--amount", "-1", "--reference", "x"], 1),
    (["cashier", "deposit", *OF_ANN, "--amount", "1e9", "--reference", "x"], 1),
    (["cashier", "deposit", *OF_ANN, "--amount", "0", "--reference", "x"], 1),
    (["cashier", "deposit", *OF_ANN, "--amount", "1", "--reference", ""], 1),
    ([*BRAND], 1),
    (["brand", "add", "--id", "5", "--client", "a:b", "--currency", "EUR", "--timezone", "UTC"], 1),
    (["brand", "add", "--id", "5", "--client", "b", "--currency", "EUR", "--timezone", "Mars/Olympus"], 1),
    (["brand", "add", "--id", "5", "--client", "b", "--currency", "QQQ", "--timezone", "UTC"], 1),
    (["provider", "add", "--game", "x", "--brand", "nobody"], 1),
    (["provider", "add", "--game", "x", "--brand", "acme", "--auth", "hmac"], 1),
    (["provider", "add", "--game", "x", "--brand", "acme", "--auth", "hmac", "--secret", "plain"], 1),
    (["provider", "add", "--game", "x", "--brand", "acme", "--allow", "not a network"], 1),
    ([*ANN[:-1], "EUR", "--password-stdin"], 1),
    (["rate", "set", "EUR", "GBP", "0"], 1),
    (["deliveries", "prune", "--older-than", "99999999999"], 2),
    (["db", "upgrade", "nosuch"], 1),
    (["exceptions", "resolve", "5", "--reason", "x"], 1),
]


@pytest.mark.parametrize(
    ("arguments", "status"), BAD, ids=lambda value: "_".join(value)[:60] if isinstance(value, list) else None
)
def test_invalid_input_prints_an_error_and_sets_the_exit_status(
    shell: Shell, world: World, arguments: Sequence[str], status: int
) -> None:
    before = world.count("ledger_transaction")
    ran = shell.run(*arguments)
    assert ran.returncode == status, ran.stderr
    assert ran.stderr.strip()
    assert world.count("ledger_transaction") == before
