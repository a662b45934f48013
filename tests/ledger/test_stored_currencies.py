"""Stored currencies: contradicting decimals, first use, several processes, and the migration."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from tests.desk import Desk
from tests.finance.tampering import tampered
from tests.ledger.bitcoin import BTC, LISTED, OF_BEA, SIX, bitcoins, list_bitcoin, unlist_bitcoin, won
from tests.service import GUNICORN, post, served
from tests.test_commands import Shell
from tests.world import HAS_BRAND_SCHEMAS, OK, World, bet, error, refund
from wallet_hooks import clock, money
from wallet_hooks.app import create_app
from wallet_hooks.database import bulk, has_row_locks, open_engine, reading, writing
from wallet_hooks.database.bulk import BulkCall
from wallet_hooks.database.migrating import downgrade, upgrade
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.identity.service import set_policy
from wallet_hooks.ledger import currencies
from wallet_hooks.ledger.currencies import store_currencies
from wallet_hooks.ledger.rates import set_rate
from wallet_hooks.settings import ConfigurationError
from wallet_hooks.sportsbook.messages import (
    BetKey,
    Callback,
    PlaceBet,
    PlaceBets,
    ProviderRequest,
    SettleBet,
    SettleBets,
)
from wallet_hooks.sportsbook.service import process_batch

MIGRATION = next((Path(__file__).parents[2] / "migrations" / "versions").glob("*_stored_currencies.py"))


def decimals_stored(world: World) -> dict[str, int]:
    with reading(world.engine) as session:
        return currencies.stored_currencies(session.connection())


def store_elsewhere(world: World, decimals: int) -> None:
    """Store BTC as another process does that uses it first."""
    with world.engine.begin() as connection:
        connection.execute(text(f"INSERT INTO ledger_currency (code, decimals) VALUES ('BTC', {decimals})"))


def test_start_fails_if_a_setting_has_other_decimals_than_stored(unlisted: World) -> None:
    unlisted.configure(currencies={"BTC": 6})
    with pytest.raises(ConfigurationError, match=r"BTC: WALLET_HOOKS_CURRENCIES says 6 decimals, .* have 8"):
        create_app(unlisted.settings)


def test_start_fails_if_iso_4217_has_other_decimals_than_stored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(money, "_ISO", {**money._ISO, "EUR": 3})
    with pytest.raises(ConfigurationError, match=r"EUR: ISO 4217 .* says 3 decimals, the ledger's amounts have 2"):
        create_app(world.settings)


@pytest.mark.parametrize(
    "command",
    [
        ["verify"],
        ["exceptions", "list"],
        ["customer", "show", *OF_BEA],
        ["customer", "create", "--brand", "acme", "--uid", "9", "--username", "z", "--currency", "EUR"],
        ["db", "upgrade"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_commands_fail_with_one_line_if_decimals_differ(unlisted: World, shell: Shell, command: list[str]) -> None:
    before = unlisted.count("customer")
    ran = shell.run(*command, **SIX)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch("wallet-hooks: BTC: .* 6 decimals, the ledger's amounts have 8\n", ran.stderr)
    assert unlisted.count("customer") == before


def test_a_reporting_database_is_checked_as_well(unlisted: World, shell: Shell, tmp_path: Path) -> None:
    url = unlisted.settings.database_url
    command = [
        "export",
        "deliveries",
        "--from",
        "2000-01-01",
        "--format",
        "csv",
        "-o",
        str(tmp_path / "deliveries.csv"),
    ]
    assert shell.run(*command, WALLET_HOOKS_REPORTING_DATABASE_URL=url, **SIX).returncode == 2
    assert shell.run(*command, WALLET_HOOKS_REPORTING_DATABASE_URL=url).returncode == 0


@pytest.mark.all_together
def test_commands_without_database_use_do_not_open_one(tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path / 'none.db'}")
    fixture = Path(__file__).parents[1] / "fixtures" / "callbacks" / "currencies" / "yen-win.json"
    for command in (["customer", "show", "--help"], ["replay", "lint", str(fixture)], ["replay", "run", str(fixture)]):
        assert shell.run(*command, **LISTED).returncode == 0
    assert not (tmp_path / "none.db").exists()


def test_gunicorn_fails_with_one_line_if_decimals_differ(unlisted: World) -> None:
    ran = subprocess.run(
        [GUNICORN, "-c", "python:wallet_hooks.server", "-b", "127.0.0.1:0", "wsgi:app"],
        env=Shell(unlisted.settings.database_url).environment | SIX, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "wallet-hooks: BTC: WALLET_HOOKS_CURRENCIES says 6 decimals, the ledger's amounts have 8"
    ]


def test_a_running_process_with_other_decimals_is_not_ready_and_takes_no_bets_in_the_currency(world: World) -> None:
    world.configure(currencies={"BTC": 6})
    assert world.client.get("/readyz").status_code == 200
    store_elsewhere(world, 8)
    response = world.client.get("/readyz")
    problem = "BTC: WALLET_HOOKS_CURRENCIES says 6 decimals, the ledger's amounts have 8"
    assert (response.status_code, response.json) == (503, {"status": problem})
    assert world.place(bet(1, "0.1", currency="BTC")) == error(503, "try_again")
    assert world.place(bet(2)) == OK
    assert world.count("wager") == 1


def test_a_bet_detects_other_decimals_without_a_readiness_check(world: World) -> None:
    """/readyz was not called, and the stored currencies were read before the other process stored one."""
    world.configure(currencies={"BTC": 6})
    assert world.app
    money.set_stored_reader(dict)
    store_elsewhere(world, 8)
    assert world.place(bet(1, "0.1", currency="BTC")) == error(503, "try_again")
    assert world.count("wager") == 0
    assert world.client.get("/readyz").status_code == 503


@pytest.mark.all_together
def test_every_api_answers_503_for_a_currency_with_other_decimals(desk: Desk) -> None:
    world = desk.world
    world.configure(currencies={"BTC": 6})
    assert world.app
    session = {"x-auth-token": desk.token("ann")}
    store_elsewhere(world, 8)
    new = {"username": "zed", "password": "passw0rd1", "ccy_code": "BTC", "group_id": desk.group}
    reply = desk.call("boss", "POST", "/v1/customers/", new)
    assert (reply.status, reply.body["code"]) == (503, "try_again")
    assert world.client.get("/gateway/limits/v1/meta-data/1007/BTC", headers=session).status_code == 503
    token = desk.api_token("finance")
    path = "/finance/exports/journal.xero?currency=BTC"
    assert world.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 503


# First use, in one and in several processes


def test_only_used_currencies_are_stored(world: World) -> None:
    assert decimals_stored(world) == {"EUR": 2}
    world.customer("8", currency="JPY", balance="5")
    assert decimals_stored(world) == {"EUR": 2, "JPY": 0}


def test_a_rolled_back_first_use_stores_nothing(world: World) -> None:
    with pytest.raises(ZeroDivisionError), writing(world.engine) as session:
        store_currencies(session.connection(), ["KWD"])
        raise ZeroDivisionError
    assert decimals_stored(world) == {"EUR": 2}
    with writing(world.engine) as session:
        store_currencies(session.connection(), ["KWD"])
    assert decimals_stored(world) == {"EUR": 2, "KWD": 3}


def test_a_cached_currency_needs_no_statement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        with writing(world.engine) as session:
            store_currencies(session.connection(), ["KWD", "EUR"])
    monkeypatch.delattr(currencies, "run")
    with writing(world.engine) as session:
        store_currencies(session.connection(), ["EUR", "KWD"])


def test_concurrent_first_uses_all_succeed(world: World) -> None:
    engines = [open_engine(world.settings) for _ in range(8)]
    barrier = Barrier(len(engines))

    def use(number: int) -> None:
        barrier.wait()
        with writing(engines[number]) as session:
            store_currencies(session.connection(), ["KWD", "JPY"] if number % 2 else ["JPY", "KWD"])

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(use, range(len(engines))))
    assert decimals_stored(world) == {"EUR": 2, "KWD": 3, "JPY": 0}
    for engine in engines:
        engine.dispose()


def test_a_second_first_use_with_other_decimals_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second reads that the currency is not stored, waits for the first, and then reads its decimals."""
    money.configure({"BTC": 6})
    has_read = Event()

    def run(connection: Connection, call: BulkCall[Any]) -> list[Any]:
        rows = bulk.run(connection, call)
        has_read.set()
        return rows

    def use() -> None:
        with writing(world.engine) as session:
            store_currencies(session.connection(), ["BTC"])

    monkeypatch.setattr(currencies, "run", run)
    with ThreadPoolExecutor(1) as pool:
        with world.engine.begin() as connection:
            connection.execute(text("INSERT INTO ledger_currency (code, decimals) VALUES ('BTC', 8)"))
            second = pool.submit(use)
            if has_row_locks(world.engine):  # on SQLite the second writer has not begun
                assert has_read.wait(30)
        with pytest.raises(money.CurrencyMismatchError):
            second.result()
    assert decimals_stored(world)["BTC"] == 8


def run_listed(world: World, *command: str) -> None:
    """Run a command in another process that has BTC in its settings."""
    environment = Shell(world.settings.database_url).environment | LISTED
    program = [sys.executable, "-c", "from wallet_hooks.cli import main; main()", *command]
    subprocess.run(program, env=environment, check=True, capture_output=True)


@pytest.mark.served
def test_a_running_process_reads_currencies_that_another_one_stored(world: World, tmp_path: Path) -> None:
    assert world.place(bet(100)) == OK, "the application is running"
    run_listed(
        world, "customer", "create", "--brand", "acme", "--uid", "8", "--username", "bea", "--currency", "BTC",
        "--role", "bet_placer",
    )  # fmt: skip
    run_listed(world, "cashier", "deposit", *OF_BEA, "--amount", "1", "--reference", "R")
    with served(world.settings.database_url, tmp_path, WALLET_HOOKS_CURRENCIES="BTC=8") as (url, _):
        for uid in (1, 2):
            assert post(url, "/bets", {"bets": [bitcoins(uid)]}) == OK
    assert world.place(bitcoins(1)) == OK
    assert world.place(bitcoins(4)) == error(402, "currency_not_supported")
    assert world.place(bet(5, user=8)) == error(402, "currency_not_supported")
    assert world.settle(won(1)) == OK
    assert world.cancel(refund(2, user="8")) == OK
    assert world.client.get("/readyz").status_code == 200
    assert world.balance("8") == "1.00000015"
    assert world.differences() == []


@pytest.mark.served
def test_two_processes_can_use_a_currency_first_at_once(world: World, tmp_path: Path) -> None:
    with writing(world.engine) as session:
        set_rate(session, source="BTC", target="EUR", rate="100000", now=clock.now())
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    with (
        served(world.settings.database_url, tmp_path / "one", WALLET_HOOKS_CURRENCIES="BTC=8") as (one, _),
        served(world.settings.database_url, tmp_path / "other", WALLET_HOOKS_CURRENCIES="BTC=8") as (other, _),
        ThreadPoolExecutor(8) as pool,
    ):
        bets = [{"bets": [bet(n, "0.00001", currency="BTC")]} for n in range(8)]
        replies = list(pool.map(lambda n: post((one, other)[n % 2], "/bets", bets[n]), range(8)))
    assert replies == [OK] * 8
    assert decimals_stored(world) == {"EUR": 2, "BTC": 8}
    assert world.balance() == "92.00"
    assert world.client.get("/readyz").status_code == 200


KEY = BetKey("betflex", "acme", "1")


@pytest.mark.parametrize(
    "message",
    [
        SettleBets((SettleBet(KEY, "8", "BTC", None, None),)),
        PlaceBets((PlaceBet(KEY, "8", None, "501", "BTC", None, "0.00000010", None),)),
    ],
    ids=["settlement", "bet"],
)
def test_a_request_parsed_before_its_currency_was_registered_gets_503(world: World, message: ProviderRequest) -> None:
    list_bitcoin(world)
    brands = read_directory(world.engine).brands
    with writing(world.engine) as session:
        callback = Callback("0" * 32, "/", message, brands, "", b"", clock.now(), clock.monotonic())
        (answer,) = process_batch(session.connection(), [callback], read_clock=clock.now)
    assert answer is not None
    assert answer.status == 503
    assert world.wager(1)["status"] == "open"


def test_a_body_with_many_unknown_currencies_costs_one_query(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.app
    monkeypatch.setattr(currencies, "_CACHE_SECONDS", 3600)
    with patch.object(currencies, "stored_currencies", wraps=currencies.stored_currencies) as read:
        reply = world.place(*[bet(n, currency="QQQ", overdraw="1") for n in range(500)])
    assert (reply.status, read.call_count) == (402, 1)


# Verification, and the migration


def test_verify_reports_an_account_whose_currency_is_not_stored(world: World, shell: Shell) -> None:
    tampered(world, "DELETE FROM ledger_currency")
    ran = shell.run("verify", "--json")
    assert ran.returncode == 1
    rule = "an account's currency has its decimals stored"
    where = "brand acme: account players:1:UK EUR" if HAS_BRAND_SCHEMAS else "account players:1:UK EUR"
    assert {"rule": rule, "where": where, "what": "no decimals"} in json.loads(ran.stdout)


def downgrade_before_the_migration(world: World) -> None:
    down = re.search(r'down_revision = "(\w+)"', MIGRATION.read_text())
    assert down is not None
    downgrade(world.engine, down[1])


@pytest.mark.all_together
def test_the_migration_stores_the_currencies_in_use(unlisted: World) -> None:
    money.configure({"BTC": 8, "DOGE": 4, "USDT": 6})
    with writing(unlisted.engine) as session:
        set_policy(session, client="acme", preset=None, rules={"caps": {"bet": {"USDT": "5"}}})
    unlisted.brand("coins", id_=9, currency="DOGE")
    before = decimals_stored(unlisted)
    downgrade_before_the_migration(unlisted)
    upgrade(unlisted.engine)
    assert decimals_stored(unlisted) == before == {"EUR": 2, "BTC": 8, "DOGE": 4, "USDT": 6}


@pytest.mark.all_together
def test_the_migration_stops_if_decimals_are_unknown(unlisted: World, shell: Shell) -> None:
    downgrade_before_the_migration(unlisted)
    ran = shell.run("db", "upgrade")
    assert ran.returncode == 2
    assert re.fullmatch("wallet-hooks: BTC is in use, but neither .* list it there .*\n", ran.stderr)
    assert shell.run("db", "upgrade", **LISTED).returncode == 0
    shell.ok("customer", "show", *OF_BEA)
    unlist_bitcoin(unlisted)
    assert unlisted.settle(won(1)) == OK


def test_start_needs_no_reachable_or_migrated_database(world: World, tmp_path: Path) -> None:
    url = make_url(world.settings.database_url)
    away = url.set(database=f"{url.database}-none" if url.get_backend_name() == "postgresql" else str(tmp_path / "x"))
    world.configure(database_url=away.render_as_string(hide_password=False), currencies=BTC)
    assert world.client.get("/readyz").status_code == 503
