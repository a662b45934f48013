"""Wallets, transfers between them, and the customer's details: always what the ledger has."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.accounts_api.client import AccountClient
from tests.desk import Desk
from tests.test_commands import Shell
from tests.world import OK, World, bet, result
from wallet_hooks import clock
from wallet_hooks.customers.profiles import change_profile
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.ledger.rates import set_rate


@pytest.fixture
def key(client: AccountClient) -> str:
    return client.new_keys("ann", "app")[0]


def funds(client: AccountClient, key: str, wallet: str | None = None) -> tuple[str, str]:
    """What can be bet, and the exposure."""
    answer = client.ok("getAccountFunds", key=key, wallet=wallet)
    assert answer["wallet"] == (wallet or "UK")
    return str(answer["availableToBetBalance"]), str(answer["exposure"])


def test_what_is_available_is_exact_with_any_credit_limit(client: AccountClient) -> None:
    client.desk.ok("boss", "PATCH", "/v1/customers/ann/", {"credit_limit": ["EUR", 1e18]})
    assert funds(client, client.key("ann"))[0] == "1000000000000000100.00"


def transfer(
    client: AccountClient, key: str, amount: Any, source: str = "UK", target: str = "AUSTRALIAN"
) -> str | None:
    return client.code("transferFunds", key=key, **{"from": source, "to": target, "amount": amount})


def test_bets_move_the_uk_wallet_and_the_exposure(client: AccountClient, key: str) -> None:
    world = client.desk.world
    assert funds(client, key) == ("100.00", "0.00")
    world.change_customer("7", credit_limit=5000)
    world.place(bet(1, "120.00"))
    assert funds(client, key) == ("30.00", "-120.00")
    assert funds(client, key, "AUSTRALIAN") == ("0.00", "0.00")
    world.settle(result(1, "150.00"))
    assert funds(client, key) == ("180.00", "0.00")


def test_a_stake_in_another_currency_is_exposed_at_its_cost(client: AccountClient, key: str) -> None:
    with writing(client.desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.2", now=clock.now())
    assert client.desk.world.place(bet(1, "10.00", currency="GBP")) == OK
    assert funds(client, key) == ("88.00", "-12.00")


def test_a_transfer_is_a_transaction_that_its_id_finds(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    answer = each.ok("transferFunds", key=key, **{"from": "UK", "to": "AUSTRALIAN", "amount": Decimal("30.10")})
    assert (funds(each, key)[0], funds(each, key, "AUSTRALIAN")[0]) == ("69.90", "30.10")
    query = text(
        "SELECT t.kind, a.name, e.amount FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id"
        " JOIN ledger_account a ON a.id = e.account_id WHERE t.id = :id ORDER BY e.line"
    )
    with each.desk.world.engine.connect() as connection:
        rows = connection.execute(query, {"id": int(answer["transactionId"])}).all()
    assert [(kind, name.rpartition(":")[2], amount) for kind, name, amount in rows] == [
        ("transfer", "UK", 3010), ("transfer", "AUSTRALIAN", -3010),
    ]  # fmt: skip
    assert transfer(each, key, 30.1, "AUSTRALIAN", "UK") is None
    assert (funds(each, key)[0], funds(each, key, "AUSTRALIAN")[0]) == ("100.00", "0.00")
    assert each.desk.world.differences() == []


@pytest.mark.parametrize(
    ("amount", "target", "code"),
    [
        (100.01, "AUSTRALIAN", "WALLET_TRANSFER_ERROR"),
        (10**12, "AUSTRALIAN", "WALLET_TRANSFER_ERROR"),
        (10**30, "AUSTRALIAN", "INVALID_INPUT_DATA"),
        (0, "AUSTRALIAN", "INVALID_INPUT_DATA"),
        (-1, "AUSTRALIAN", "INVALID_INPUT_DATA"),
        (Decimal("1.001"), "AUSTRALIAN", "INVALID_INPUT_DATA"),
        (1, "UK", "INVALID_INPUT_DATA"),
        (1, "MARS", "DSC-0044"),
        ("one", "AUSTRALIAN", "DSC-0044"),
        ("1.001", "AUSTRALIAN", "INVALID_INPUT_DATA"),
        ("NaN", "AUSTRALIAN", "DSC-0044"),
        (True, "AUSTRALIAN", "DSC-0044"),
        (None, "AUSTRALIAN", "DSC-0018"),
    ],
)
def test_transfers_that_cannot_be_move_nothing(each_shared: AccountClient, amount: Any, target: str, code: str) -> None:
    key = each_shared.key("ann")
    each_shared.desk.world.change_customer("7", credit_limit=100_000)
    assert transfer(each_shared, key, amount, target=target) == code
    assert funds(each_shared, key, "AUSTRALIAN")[0] == "0.00"
    assert each_shared.desk.world.count("payment") == 0


def test_credit_is_not_transferred(client: AccountClient, key: str) -> None:
    client.desk.world.change_customer("7", credit_limit=5000)
    client.desk.world.place(bet(1, "60.00"))
    assert transfer(client, key, 40.01) == "WALLET_TRANSFER_ERROR"
    assert transfer(client, key, 40) is None
    assert funds(client, key)[0] == "50.00"


def test_amounts_have_the_currencys_decimals(client: AccountClient) -> None:
    key, _ = client.new_keys("freja", "app")
    answer = client.call("getAccountFunds", who="freja", key=key)
    assert str(answer.result["availableToBetBalance"]) == "100.00"


def test_transfers_and_bets_at_once_never_lose_a_cent(client: AccountClient, key: str) -> None:
    world = client.desk.world
    client.token("ann")

    def act(number: int) -> Any:
        if number % 3 == 0:
            return world.place(bet(f"b{number}", "7.00")).status
        return transfer(client, key, 5, *(("UK", "AUSTRALIAN") if number % 3 == 1 else ("AUSTRALIAN", "UK")))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(act, range(24))) <= {200, 402, None, "WALLET_TRANSFER_ERROR"}
    uk, exposure = map(Decimal, funds(client, key))
    australian = Decimal(funds(client, key, "AUSTRALIAN")[0])
    assert uk + australian - exposure == 100
    assert min(uk, australian) >= 0
    assert world.differences() == []


def test_the_command_line_shows_the_same_money(desk: Desk) -> None:
    shell = Shell(desk.world.settings.database_url)
    client = AccountClient(desk)
    key, _ = client.new_keys("ann", "app")
    transfer(client, key, 12.5)
    desk.world.place(bet(1, "20.00"))
    shown = json.loads(shell.ok("customer", "show", "--brand", "acme", "--uid", "7", "--json"))
    assert shown["wallets"] == {"UK": "67.50", "AUSTRALIAN": "12.50"}
    assert (shown["balance"], shown["exposure"], shown["retained_commission"]) == ("67.50", "-20.00", "0.00")
    assert funds(client, key) == (shown["available"], shown["exposure"])


def test_details_show_what_is_known(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    assert each.ok("getAccountDetails", key=key) == {"currencyCode": "EUR", "discountRate": 0, "pointsBalance": 0}
    with writing(each.desk.world.engine) as session:
        ann, _ = customer_by_uid(session, client="acme", uid="7")
        known = {"first_name": "Ann", "last_name": "Ång", "locale": "en_GB", "region": "GBR"}
        change_profile(session, ann, known | {"timezone": "Europe/London", "country": "GB", "discount_rate": "2.5"})
        change_profile(session, ann, {"points_balance": 7, "last_name": ""})
    assert each.ok("getAccountDetails", key=key) == {
        "currencyCode": "EUR", "firstName": "Ann", "localeCode": "en_GB", "region": "GBR",
        "timezone": "Europe/London", "discountRate": Decimal("2.5"), "pointsBalance": 7, "countryCode": "GB",
    }  # fmt: skip
    assert each.ok("getAccountFunds", key=key)["pointsBalance"] == 7


@pytest.mark.parametrize(
    ("option", "value", "is_valid"),
    [
        ("--first-name", "Ann", True), ("--first-name", "x" * 101, False), ("--locale", "en_GB", True),
        ("--locale", "english", False), ("--timezone", "Europe/Oslo", True), ("--timezone", "Mars", False),
        ("--country", "GB", True), ("--country", "gb", False), ("--discount-rate", "2.5", True),
        ("--discount-rate", "101", False), ("--points-balance", "5", True), ("--points-balance", "-5", False),
        ("--referred-by", "bob", True), ("--referred-by", "nobody", False), ("--referred-by", "ann", False),
        ("--referred-by", "", True), ("--locale", "", True),
    ],
)  # fmt: skip
def test_profiles_are_changed_by_command(desk: Desk, option: str, value: str, is_valid: bool) -> None:
    shell = Shell(desk.world.settings.database_url)
    ran = shell.run("customer", "change", "--brand", "acme", "--uid", "7", option, value)
    assert (ran.returncode, desk.world.count("customer_profile")) == ((0, 1) if is_valid else (1, 0)), ran


def test_profiles_are_imported(world: World, tmp_path: Path) -> None:
    shell = Shell(world.settings.database_url)
    file = tmp_path / "customers.csv"
    head = "brand,uid,username,currency,balance,credit_limit"
    file.write_text(f"{head},first_name,timezone\nacme,50,fifty,EUR,1,0,Fifi,Europe/Paris\nacme,51,fiftyone,EUR,,,,\n")
    assert shell.ok("customer", "import", str(file)) == "2 customers imported\n"
    assert world.count("customer_profile") == 1
    file.write_text(f"{head},timezone\nacme,52,fiftytwo,EUR,1,0,Mars\n")
    assert shell.run("customer", "import", str(file)).returncode == 1
    file.write_text(f"{head},shoe_size\nacme,53,fiftythree,EUR,1,0,44\n")
    assert shell.run("customer", "import", str(file)).returncode == 2
