"""The chart of accounts: the only module that builds and parses account names."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, SQLColumnExpression, String, case, cast

from wallet_hooks.ledger.journal import AccountName

# The account API's names of a customer's two wallets; bets use the first.
WALLETS = BETTING_WALLET, SECOND_WALLET = "UK", "AUSTRALIAN"
OPEN_STAKES = "open_stakes"
STAKES, WINNINGS, COMMISSION = "income:stakes", "expenses:winnings", "income:commission"
PAYMENT_PROVIDERS, ADJUSTMENTS, CONVERSION = "psp", "expenses:adjustments", "equity:conversion"
HELD_ACCOUNTS = (*WALLETS, OPEN_STAKES)  # that a customer may have
_PLAYERS = "players:"
# The kinds of accounts, by the first part of their names.
_KINDS = {
    "players": "liability",
    "psp": "asset",
    "income": "income",
    "expenses": "expense",
    "equity": "equity",
}


def player(customer_id: int, currency: str, wallet: str = BETTING_WALLET) -> AccountName:
    """Return a customer's wallet account, a liability: a credit balance is the customer's money."""
    return AccountName(f"{_PLAYERS}{customer_id}:{wallet}", currency, "liability", customer_id)


def open_stakes(customer_id: int, currency: str) -> AccountName:
    """Return the account of a customer's unsettled stakes; its balance is minus their cost."""
    return AccountName(f"{_PLAYERS}{customer_id}:{OPEN_STAKES}", currency, "liability", customer_id)


def is_open_stakes(account: AccountName) -> bool:
    """Return whether an account holds a customer's unsettled stakes."""
    return account.holder_id is not None and account.name.endswith(f":{OPEN_STAKES}")


def is_player(name: str) -> bool:
    """Return whether a name is a customer's account, or the sum of such accounts (`summary_name`)."""
    return name.startswith(_PLAYERS)


def has_wallet(name: SQLColumnExpression[str], wallet: str) -> ColumnElement[bool]:
    """Return the SQL condition that an account is this wallet of some customer."""
    return name.like(f"{_PLAYERS}%:{wallet}")


def is_player_account(name: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Return the SQL condition of `is_player` for a column of names."""
    return name.like(f"{_PLAYERS}%")


def kind_of(name: SQLColumnExpression[str]) -> ColumnElement[str]:
    """Return the SQL expression of the kind that an account's name says; an empty text for no account's name."""
    return case(*((name.like(f"{root}:%"), kind) for root, kind in _KINDS.items()), else_="")


def player_name(holder_id: SQLColumnExpression[Any], wallet: str = BETTING_WALLET) -> ColumnElement[str]:
    """Return the SQL expression for the name of an account holder's wallet."""
    return _PLAYERS + cast(holder_id, String) + f":{wallet}"


def summary_names(name: SQLColumnExpression[str]) -> ColumnElement[str]:
    """Return the SQL expression of `summary_name` for a column of names.

    Customers' accounts are summed by wallet (`players:UK`, `players:open_stakes`); other accounts keep their names.
    """
    return case(*((has_wallet(name, wallet), wallets_name(wallet)) for wallet in HELD_ACCOUNTS), else_=name)


def wallets_name(wallet: str) -> str:
    """Return the name under which finance sums customers' accounts of a wallet, or of OPEN_STAKES."""
    return f"{_PLAYERS}{wallet}"


def parts_of(name: str) -> list[str]:
    """Return the parts of an account's name, from its root on."""
    return name.split(":")


def with_parents(name: str) -> Iterator[str]:
    """Yield an account's name, and those of the accounts above it."""
    parts = parts_of(name)
    return (":".join(parts[:length]) for length in range(len(parts), 0, -1))


def summary_name(account: str) -> str:
    """Return the name under which reports and seals sum an account: customers' by wallet, any other by its own name."""
    return wallets_name(parts_of(account)[-1]) if account.startswith(_PLAYERS) else account


class RevenueAccount(NamedTuple):
    """A house account of betting revenue, `kind` being STAKES, WINNINGS or COMMISSION; commission has no game."""

    kind: str
    brand: str
    game: str


def parse_revenue_account(name: str) -> RevenueAccount | None:
    """Return what a revenue account's name says; None for any other account."""
    for kind in (STAKES, WINNINGS, COMMISSION):
        if name.startswith(f"{kind}:"):
            brand, _, game = name.removeprefix(f"{kind}:").partition(":")
            return RevenueAccount(kind, brand, game)
    return None


def payment_provider(method: str, currency: str) -> AccountName:
    return AccountName(f"{PAYMENT_PROVIDERS}:{method}", currency, "asset")


def stakes_income(brand: str, game: str, currency: str) -> AccountName:
    return AccountName(f"{STAKES}:{brand}:{game}", currency, "income")


def winnings_expense(brand: str, game: str, currency: str) -> AccountName:
    return AccountName(f"{WINNINGS}:{brand}:{game}", currency, "expense")


def commission_income(brand: str, currency: str) -> AccountName:
    return AccountName(f"{COMMISSION}:{brand}", currency, "income")


def adjustments_expense(brand: str, currency: str) -> AccountName:
    return AccountName(f"{ADJUSTMENTS}:{brand}", currency, "expense")


def conversion(currency: str) -> AccountName:
    return AccountName(CONVERSION, currency, "equity")
