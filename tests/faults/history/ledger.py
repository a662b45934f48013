"""What the checker compares the answers with: the ledger's entries, read with plain SQL."""

from typing import NamedTuple

from sqlalchemy import Engine, text

from wallet_hooks.database import reading


class StoredEntry(NamedTuple):
    """An entry. Amounts are minor units, debit positive; `version` is None on a house account."""

    transaction: int
    reference: str
    account: str
    amount: int
    balance_after: int | None
    version: int | None


class StoredLedger(NamedTuple):
    """All entries in the order of their transactions, the stored balances by account, and wallets by customer."""

    lines: list[StoredEntry]
    balances: dict[str, int]
    wallets: dict[str, str]


_LINES = text(
    "SELECT e.transaction_id, t.reference, a.name, e.amount, e.balance_after, e.version FROM ledger_entry e"
    " JOIN ledger_transaction t ON t.id = e.transaction_id JOIN ledger_account a ON a.id = e.account_id"
    " ORDER BY e.transaction_id, e.line"
)
_BALANCES = text("SELECT name, balance FROM ledger_account WHERE balance IS NOT NULL")
_CUSTOMERS = text("SELECT uid, id FROM customer")


def read_ledger(engine: Engine) -> StoredLedger:
    with reading(engine) as session:
        return StoredLedger(
            lines=[StoredEntry(*row) for row in session.execute(_LINES)],
            balances={name: int(balance) for name, balance in session.execute(_BALANCES)},
            wallets={uid: f"players:{id_}:UK" for uid, id_ in session.execute(_CUSTOMERS)},
        )
