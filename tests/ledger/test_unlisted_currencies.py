"""A currency removed from WALLET_HOOKS_CURRENCIES: existing bets and money stay usable, new business is refused."""

import json
from pathlib import Path

import pytest

from tests.desk import Desk
from tests.ledger.bitcoin import BTC, LISTED, OF_BEA, bitcoins, list_bitcoin, unlist_bitcoin, won
from tests.test_commands import Shell
from tests.world import OK, World, bet, error, refund
from wallet_hooks import clock
from wallet_hooks.bookies.service import add_account, set_bookie, store_balance
from wallet_hooks.cashier.service import Movement, move
from wallet_hooks.customers.models import Group
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.identity.service import set_policy


def test_taken_bets_can_be_repeated_settled_and_cancelled(unlisted: World) -> None:
    assert unlisted.place(bitcoins(1)) == OK, "a repetition of a taken bet"
    assert unlisted.place(bitcoins(1, "0.00000011")) == error(409, "conflict")
    assert unlisted.settle(won(1)) == OK
    assert unlisted.settle(won(1)) == OK
    assert unlisted.settle(won(1, "0.00000030")) == OK
    assert unlisted.settle(won(3, "0.000000001")).status == 400, "it still has eight decimals"
    assert unlisted.cancel(refund(2, user="8")) == OK
    assert (unlisted.balance("8"), unlisted.open_stakes("8")) == ("1.00000035", "0.00000000")
    assert unlisted.differences() == []


def test_new_bets_are_refused_and_the_refusal_is_stored(unlisted: World) -> None:
    for _ in range(2):
        assert unlisted.place(bitcoins(4)) == error(402, "currency_not_supported")
    assert unlisted.place(bet(5, "1.00", user=8)) == error(402, "currency_not_supported"), "its wallet is in BTC"
    assert unlisted.place(bet(6)) == OK
    unlisted.configure(currencies=BTC)
    assert unlisted.place(bitcoins(4)) == error(402, "currency_not_supported")
    assert unlisted.place(bitcoins(4, "0.00000011")) == error(409, "conflict")
    assert unlisted.place(bitcoins(7)) == OK


def test_a_bet_refused_before_its_currency_was_listed_stays_refused(world: World) -> None:
    assert world.place(bet(4, "0.1", currency="BTC")) == error(402, "currency_not_supported")
    world.configure(currencies=BTC)
    assert world.place(bet(4, "0.1", currency="BTC")) == error(402, "currency_not_supported")
    assert world.place(bet(4, "0.2", currency="BTC")) == error(409, "conflict")


def test_a_refusal_is_repeated_after_its_currency_was_removed(world: World) -> None:
    world.configure(currencies=BTC)
    assert world.place(bet(4, "0.1", user=404, currency="BTC")) == error(402, "customer_unknown")
    unlist_bitcoin(world)
    assert world.place(bet(4, "0.1", user=404, currency="BTC")) == error(402, "customer_unknown")


def pay(world: World, kind: str, reference: str, amount: int = 1) -> None:
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="8", lock=True)
        movement = Movement(kind=kind, amount=amount, reference=reference, reason="test")
        move(session, customer, movement, now=clock.now())


def test_withdrawals_are_possible_and_deposits_refused(world: World) -> None:
    list_bitcoin(world)
    pay(world, "deposit", "known")
    unlist_bitcoin(world)
    pay(world, "deposit", "known")
    with pytest.raises(RefusedError, match="BTC is not offered any more") as refused:
        pay(world, "deposit", "new")
    assert refused.value.code == "currency_not_supported"
    pay(world, "withdrawal", "out", 101)
    pay(world, "adjustment", "correction", -2)
    assert world.balance("8") == "0.99999893"


def test_deposits_and_new_customers_are_refused_over_http(desk: Desk) -> None:
    list_bitcoin_for_bob(desk)
    unlist_bitcoin(desk.world)
    payment = {"method": "card", "amount": ["BTC", 0.5], "reference": "P1"}
    path, key = "/v1/customers/coinbob/deposits/", {"Idempotency-Key": "k"}
    reply = desk.call("boss", "POST", path, payment, headers=key)
    assert (reply.status, reply.body["code"]) == (400, "currency_not_supported")
    new = {"username": "zed", "password": "passw0rd1", "ccy_code": "BTC", "group_id": desk.group}
    reply = desk.call("boss", "POST", "/v1/customers/", new)
    assert (reply.status, reply.body["code"]) == (400, "validation_error")
    assert "BTC" in reply.body["data"]["message"]
    assert desk.ok("boss", "GET", "/v1/customers/coinbob/")["credit_limit"] == ["BTC", 0]


def list_bitcoin_for_bob(desk: Desk) -> None:
    desk.world.configure(currencies=BTC)
    new = {"username": "coinbob", "password": "passw0rd1", "ccy_code": "BTC", "group_id": desk.group}
    desk.ok("boss", "POST", "/v1/customers/", new)


@pytest.mark.parametrize(
    "command",
    [
        ["brand", "add", "--id", "9", "--client", "coins", "--currency", "BTC", "--timezone", "Europe/London"],
        ["customer", "create", "--brand", "acme", "--uid", "9", "--username", "z", "--currency", "BTC"],
        ["rate", "set", "BTC", "EUR", "90000"],
        ["cashier", "deposit", *OF_BEA, "--amount", "0.1", "--reference", "R"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_refuse_new_business_and_name_the_currency(unlisted: World, shell: Shell, command: list[str]) -> None:
    ran = shell.run(*command)
    assert ran.returncode == 1
    assert "BTC" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_reports_are_unchanged(world: World, shell: Shell, tmp_path: Path) -> None:
    list_bitcoin(world)
    commands = [
        ["customer", "show", *OF_BEA],
        ["customer", "show", *OF_BEA, "--json"],
        ["customer", "list", "--json"],
        ["wager", "show", "--brand", "acme", "--game", "betflex", "--uid", "3", "--json"],
    ]
    before = [shell.run(*command, **LISTED).stdout for command in commands]
    exported = {" ".join(report): export(shell, tmp_path / "listed", report, **LISTED) for report in EXPORTS}
    unlist_bitcoin(world)
    assert [shell.ok(*command) for command in commands] == before
    for report in EXPORTS:
        found = export(shell, tmp_path / "unlisted", report)
        assert found == exported[" ".join(report)]
        assert b"0.00000010" in found or b"0.99999995" in found
    shell.ok("verify")


EXPORTS = (
    *(["journal", "--format", name] for name in ("csv", "jsonl", "beancount", "hledger", "ledger")),
    ["journal", "--format", "quickbooks", "--currency", "BTC"],
    *([name, "--format", "csv"] for name in ("trial-balance", "gaming-revenue", "player-funds")),
    ["statement", "--format", "csv", *OF_BEA],
)


def export(shell: Shell, path: Path, report: list[str], **environment: str) -> bytes:
    ran = shell.run("export", *report, "--from", "2000-01-01", "-o", str(path), **environment)
    assert ran.returncode == 0, ran.stderr
    return path.read_bytes()


def test_exports_over_http_include_the_currency(world: World) -> None:
    list_bitcoin(world)
    token = Desk(world).api_token("finance")
    unlist_bitcoin(world)
    for path in ("journal.csv", "player-funds.xlsx", "journal.xero?currency=BTC"):
        response = world.client.get(f"/finance/exports/{path}", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 200, response.text


def test_an_operator_can_resettle_a_bet(unlisted: World, shell: Shell) -> None:
    of_bet = ["--brand", "acme", "--game", "betflex", "--uid", "3"]
    shell.ok("wager", "resettle", *of_bet, "--payout", "0.00000050", "--reason", "ticket")
    assert unlisted.wager(3)["payout"] == "0.00000050"


def test_reconciliation_matches_bets_in_the_currency(unlisted: World, shell: Shell, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("brand,bet,currency,stake\n" + "".join(f"acme,{n},BTC,0.00000010\n" for n in (1, 2, 3)))
    day = f"{clock.now():%Y-%m-%d}"
    ran = shell.run("reconcile", "--provider", "betflex", str(report), "--from", day, "--to", day)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_policy_with_the_currency_still_applies_to_others(world: World, shell: Shell) -> None:
    world.configure(currencies=BTC)
    assert world.app
    with writing(world.engine) as session:
        set_policy(session, client="acme", preset=None, rules={"caps": {"bet": {"BTC": "0.5"}}})
    unlist_bitcoin(world)
    policy_of.cache_clear()
    limit = ["--type", "bet", "--frame", "day", "--amount", "15.00", "--reason", "test"]
    shell.ok("limit", "set", "--brand", "acme", "--uid", "7", *limit)
    assert world.place(bet(1)) == OK
    assert world.place(bet(2)) == error(402, "bet_limit_exceeded")


def test_bookmaker_balances_in_the_currency_are_shown(desk: Desk) -> None:
    world = desk.world
    world.configure(currencies=BTC)
    assert world.app
    with writing(world.engine) as session:
        set_bookie(session, code="book", adapter="http-json", url="http://127.0.0.1:1", secret=None)
        group = session.get_one(Group, desk.group)
        account = add_account(session, group=group, bookie="book", username="u", currency="BTC")
        store_balance(session, account.id, 5, queried_at=clock.now())
    unlist_bitcoin(world)
    ran = Shell(world.settings.database_url).run("bookie", "list", "--json")
    assert json.loads(ran.stdout)[0]["balance"] == "0.00000005"
