"""Proofs of the ledger's rules over all history, each one query that names the first rows that differ."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

FIRST = 20  # differences that are told of each rule


class Difference(NamedTuple):
    """A broken rule: which, at which row, and what was found there (minor units, debit positive)."""

    rule: str
    where: str
    what: str


def _check(rule: str, query: str) -> Callable[[Session], list[Difference]]:
    """A check whose query yields (where, what) for each row that breaks the rule."""

    def run(session: Session) -> list[Difference]:
        rows = session.execute(text(f"{query} LIMIT {FIRST}"))
        return [Difference(rule, str(where), str(what)) for where, what in rows]

    return run


CHECKS: tuple[Callable[[Session], list[Difference]], ...] = (
    _check(
        "entries sum to zero",
        "SELECT 'transaction ' || transaction_id, 'sum ' || sum(amount) || ' ' || currency FROM ledger_entry"
        " GROUP BY transaction_id, currency HAVING sum(amount) <> 0 ORDER BY transaction_id",
    ),
    _check(
        "a transaction has entries",
        "SELECT 'transaction ' || t.id, 'no entries' FROM ledger_transaction t"
        " WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = t.id) ORDER BY t.id",
    ),
    _check(
        "an entry has its transaction",
        "SELECT 'transaction ' || e.transaction_id, 'missing, but has entries' FROM ledger_entry e"
        " WHERE NOT EXISTS (SELECT 1 FROM ledger_transaction t WHERE t.id = e.transaction_id)"
        " ORDER BY e.transaction_id",
    ),
    _check(
        "an entry is in its account's currency",
        "SELECT 'transaction ' || e.transaction_id || ' line ' || e.line, e.currency || ' on account ' || e.account_id"
        " FROM ledger_entry e LEFT JOIN ledger_account a ON a.id = e.account_id AND a.currency = e.currency"
        " AND (a.holder_id IS NULL) = (e.version IS NULL) WHERE a.id IS NULL ORDER BY e.transaction_id",
    ),
    _check(
        "a balance equals the sum of its entries",
        "SELECT 'account ' || a.name || ' ' || a.currency,"
        " 'balance ' || a.balance || ', entries ' || coalesce(e.total, 0) FROM ledger_account a"
        " LEFT JOIN (SELECT account_id, sum(amount) AS total, max(version) AS version FROM ledger_entry"
        " WHERE version IS NOT NULL GROUP BY account_id) e ON e.account_id = a.id"
        " WHERE a.holder_id IS NOT NULL"
        " AND (a.balance <> coalesce(e.total, 0) OR a.version <> coalesce(e.version, 0)) ORDER BY a.id",
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
    ),
    _check(
        "a reversal takes back the whole transaction that it points to",
        "SELECT 'transaction ' || t.id, 'reverses ' || t.reverses_id FROM ledger_transaction t"
        " WHERE t.reverses_id IS NOT NULL AND (EXISTS ("
        " SELECT 1 FROM ledger_entry e WHERE e.transaction_id IN (t.id, t.reverses_id)"
        " GROUP BY e.account_id, e.currency HAVING sum(e.amount) <> 0)"
        " OR NOT EXISTS (SELECT 1 FROM ledger_transaction r WHERE r.id = t.reverses_id AND r.id < t.id)) ORDER BY t.id",
    ),
    _check(
        "nothing is posted into a closed period",
        "SELECT 'transaction ' || t.id, 'booked on ' || t.booked_on FROM ledger_transaction t"
        " WHERE EXISTS (SELECT 1 FROM ledger_period p WHERE p.day >= t.booked_on AND p.closed_at < t.recorded_at)"
        " ORDER BY t.id",
    ),
)
