"""The chart of accounts: names are built and read here alone."""

from wallet_hooks.ledger.journal import AccountName

BETTING_WALLET = "UK"  # the account API's name for it (seeds/002)
OPEN_STAKES = "open_stakes"


def player(customer_id: int, currency: str, wallet: str = BETTING_WALLET) -> AccountName:
    """What the operator owes a customer: a credit balance is the customer's money."""
    return AccountName(f"players:{customer_id}:{wallet}", currency, "liability", customer_id)


def open_stakes(customer_id: int, currency: str) -> AccountName:
    """Stakes taken and not settled yet; its balance is the customer's exposure."""
    return AccountName(f"players:{customer_id}:{OPEN_STAKES}", currency, "liability", customer_id)


def is_open_stakes(account: AccountName) -> bool:
    """Whether an account holds stakes that are taken and not settled yet."""
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
