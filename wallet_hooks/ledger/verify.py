"""Verifies the ledger's rules, over all history or since a seal; each rule is a query for rows that break it."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from wallet_hooks.ledger.models import Seal, Transaction
from wallet_hooks.ledger.sealing import seal_of

MAX_DIFFERENCES = 20  # reported for each rule


class Difference(NamedTuple):
    """A broken rule: its name, the row, and what was found there (minor units, debit positive)."""

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"


class Since(NamedTuple):
    """What is verified after a closed day: transactions from `first_id` on.

    Earlier ones are verified by the seal, if its hash is also stored outside the database.
    """

    seal: Seal
    first_id: int


def since(session: Session, day: date) -> Since:
    """Return the range after a closed day. Raises RefusedError (`not_closed`) if the day is not closed."""
    seal = seal_of(session, day)
    first_id = session.scalar(select(func.min(Transaction.id)).where(Transaction.booked_on > day))
    return Since(seal, _AFTER_ALL_IDS if first_id is None else first_id)


_AFTER_ALL_IDS = 2**62
Check = Callable[[Session, Since | None], list[Difference]]


def _check(rule: str, query: str, query_since: str | None = None) -> Check:
    """Return a check whose query selects (where, what) for each row that breaks the rule.

    The query reads `{transactions}` and `{entries}`: all of them, or only those posted since a seal. `query_since`
    replaces the query in the second case, for a rule that needs another one there.
    """

    def run(session: Session, posted: Since | None) -> list[Difference]:
        tables = {"transactions": "ledger_transaction", "entries": "ledger_entry"}
        if posted is not None:
            tables = {
                "transactions": f"(SELECT * FROM ledger_transaction WHERE id >= {posted.first_id})",
                "entries": f"(SELECT * FROM ledger_entry WHERE transaction_id >= {posted.first_id})",
            }
        selected = query if posted is None or query_since is None else query_since
        rows = session.execute(text(f"{selected.format(**tables)} LIMIT {MAX_DIFFERENCES}"))
        return [Difference(rule, str(where), str(what)) for where, what in rows]

    return run


CHECKS: tuple[Check, ...] = (
    _check(
        "entries sum to zero",
        "SELECT 'transaction ' || transaction_id, 'sum ' || sum(amount) || ' ' || currency FROM {entries} e"
        " GROUP BY transaction_id, currency HAVING sum(amount) <> 0 ORDER BY transaction_id",
    ),
    _check(
        "a transaction has entries",
        "SELECT 'transaction ' || t.id, 'no entries' FROM {transactions} t"
        " WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) ORDER BY t.id",
    ),
    _check(
        "an entry has its transaction",
        "SELECT 'transaction ' || e.transaction_id, 'missing, but has entries' FROM {entries} e"
        " WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = e.transaction_id)"
        " ORDER BY e.transaction_id",
    ),
    _check(
        "an entry is in its account's currency",
        "SELECT 'transaction ' || e.transaction_id || ' line ' || e.line, e.currency || ' on account ' || e.account_id"
        " FROM {entries} e LEFT JOIN ledger_account a ON a.id = e.account_id AND a.currency = e.currency"
        " AND (a.holder_id IS NULL) = (e.version IS NULL) WHERE a.id IS NULL ORDER BY e.transaction_id",
    ),
    _check(
        "an account's currency has its decimals stored",
        "SELECT 'account ' || a.name || ' ' || a.currency, 'no decimals' FROM ledger_account a"
        " WHERE NOT EXISTS (SELECT 1 FROM ledger_currency c WHERE c.code = a.currency) ORDER BY a.id",
    ),
    _check(
        "a balance equals the sum of its entries",
        "SELECT 'account ' || a.name || ' ' || a.currency,"
        " 'balance ' || a.balance || ', entries ' || coalesce(e.total, 0) FROM ledger_account a"
        " LEFT JOIN (SELECT account_id, sum(amount) AS total, max(version) AS version FROM ledger_entry"
        " WHERE version IS NOT NULL GROUP BY account_id) e ON e.account_id = a.id"
        " WHERE a.holder_id IS NOT NULL"
        " AND (a.balance <> coalesce(e.total, 0) OR a.version <> coalesce(e.version, 0)) ORDER BY a.id",
        "SELECT 'account ' || a.name || ' ' || a.currency,"
        " 'balance ' || a.balance || ', after its last entry ' || e.balance_after FROM ledger_account a"
        " JOIN (SELECT account_id, max(version) AS version FROM {entries} e WHERE version IS NOT NULL"
        " GROUP BY account_id) last ON last.account_id = a.id"
        " JOIN ledger_entry e ON e.account_id = a.id AND e.version = last.version"
        " WHERE a.balance <> e.balance_after OR a.version <> e.version ORDER BY a.id",
    ),
    _check(
        "versions are gap-free and balances run on",
        "SELECT 'account ' || account_id || ' version ' || version,"
        " 'balance after ' || balance_after || ' is not ' || before || ' and ' || amount FROM ("
        " SELECT account_id, version, amount, balance_after,"
        " coalesce(lag(balance_after) OVER history, 0) AS before,"
        " coalesce(lag(version) OVER history, 0) AS version_before"
        " FROM ledger_entry WHERE version IS NOT NULL WINDOW history AS (PARTITION BY account_id ORDER BY version)"
        ") e WHERE balance_after <> before + amount OR version <> version_before + 1 ORDER BY account_id, version",
        "SELECT 'account ' || e.account_id || ' version ' || e.version,"
        " 'balance after ' || e.balance_after || ' is not ' || coalesce(before.balance_after, 0) || ' and ' || e.amount"
        " FROM {entries} e LEFT JOIN ledger_entry before"
        " ON before.account_id = e.account_id AND before.version = e.version - 1"
        " WHERE e.version IS NOT NULL AND (e.balance_after <> coalesce(before.balance_after, 0) + e.amount"
        " OR (before.version IS NULL AND e.version <> 1)) ORDER BY e.account_id, e.version",
    ),
    _check(
        "a reversal takes back the whole transaction that it points to",
        "SELECT 'transaction ' || t.id, 'reverses ' || t.reverses_id FROM {transactions} t"
        " WHERE t.reverses_id IS NOT NULL AND (EXISTS ("
        " SELECT 1 FROM ledger_entry e WHERE e.transaction_id IN (t.id, t.reverses_id)"
        " GROUP BY e.account_id, e.currency HAVING sum(e.amount) <> 0)"
        " OR NOT EXISTS (SELECT 1 FROM ledger_transaction r WHERE r.id = t.reverses_id AND r.id < t.id)) ORDER BY t.id",
    ),
    _check(
        "nothing is posted into a closed period",
        "SELECT 'transaction ' || t.id, 'booked on ' || t.booked_on FROM {transactions} t"
        " WHERE EXISTS (SELECT 1 FROM ledger_period p WHERE p.day >= t.booked_on AND p.closed_at < t.recorded_at)"
        " ORDER BY t.id",
    ),
)
