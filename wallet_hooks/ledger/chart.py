"""The chart of accounts: the only module that builds or parses account names."""

from typing import Any

from sqlalchemy import ColumnElement

from wallet_hooks.ledger.journal import AccountName

BETTING_WALLET = "UK"  # the account API's name for the wallet
OPEN_STAKES = "open_stakes"
PLAYERS = "players:"


def player(customer_id: int, currency: str, wallet: str = BETTING_WALLET) -> AccountName:
    """Return a customer's wallet account, a liability: a credit balance is the customer's money."""
    return AccountName(f"{PLAYERS}{customer_id}:{wallet}", currency, "liability", customer_id)


def open_stakes(customer_id: int, currency: str) -> AccountName:
    """Return the account of a customer's unsettled stakes; its balance is the customer's exposure."""
    return AccountName(f"{PLAYERS}{customer_id}:{OPEN_STAKES}", currency, "liability", customer_id)


def is_open_stakes(account: AccountName) -> bool:
    """Return whether an account holds a customer's unsettled stakes."""
    return account.holder_id is not None and account.name.endswith(f":{OPEN_STAKES}")


def payment_provider(method: str, currency: str) -> AccountName:
    return AccountName(f"psp:{method}", currency, "asset")


def stakes_income(brand: str, game: str, currency: str) -> AccountName:
    return AccountName(f"income:stakes:{brand}:{game}", currency, "income")


def winnings_expense(brand: str, game: str, currency: str) -> AccountName:
    return AccountName(f"expenses:winnings:{brand}:{game}", currency, "expense")


def commission_income(brand: str, currency: str) -> AccountName:
    return AccountName(f"income:commission:{brand}", currency, "income")


def adjustments_expense(brand: str, currency: str) -> AccountName:
    return AccountName(f"expenses:adjustments:{brand}", currency, "expense")


def conversion(currency: str) -> AccountName:
    return AccountName("equity:conversion", currency, "equity")


def is_wallet(name: Any, wallet: str) -> ColumnElement[bool]:
    """Return the SQL condition that an account name (a column) is the given wallet of any customer."""
    condition: ColumnElement[bool] = name.like(f"{PLAYERS}%:{wallet}")
    return condition


def balance_name(account: str) -> str:
    """Return the name under which reports and seals sum an account: customers' by wallet, any other by its own name."""
    return f"{PLAYERS}{account.rpartition(':')[2]}" if account.startswith(PLAYERS) else account
