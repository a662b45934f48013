"""The journal as plain text for hledger, ledger and beancount, in full: declarations, every amount, assertions.

A name can forge no line: what is not a letter, a digit, `-` or a separator is written as its code point.
"""

import re
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import BinaryIO, NamedTuple

import pyarrow as pa
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.finance.asked import Asked
from wallet_hooks.finance.batches import Row, rows_of
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction

_ROOTS = {
    "asset": "Assets",
    "liability": "Liabilities",
    "income": "Income",
    "expense": "Expenses",
    "equity": "Equity",
}
_OPENING = "Equity:Opening-Balances"
_UNSAFE = re.compile(r"[^A-Za-z0-9]")
_LIKE_CODED = re.compile(r"c[0-9-]")
_NEEDED = ["transaction", "booked_on", "kind", "account", "currency", "amount"]
_SCALE = Decimal(1).scaleb(-8)


class Held(NamedTuple):
    """An account as a journal names it, its currency, and what it held before the period, in minor units."""

    name: str
    currency: str
    opening: int


class Dialect(NamedTuple):
    """How a program wants things said."""

    commodity: str
    account: str
    transaction: str
    posting: str
    assertion: str
    asserts_after: bool  # whether an assertion of a day is dated the day after it


DIALECTS = {
    "hledger": Dialect(
        "commodity 1000.00000000 {currency}\n",
        "account {account}\n",
        "\n{day} {kind} {id}\n",
        "    {account}  {amount} {currency}\n",
        "\n{day} assertion\n    {account}  0.00000000 {currency} = {amount} {currency}\n",
        asserts_after=False,
    ),
    "ledger": Dialect(
        "commodity {currency}\n    format 1000.00000000 {currency}\n",
        "account {account}\n",
        "\n{day} {kind} {id}\n",
        "    {account}  {amount} {currency}\n",
        "\n{day} assertion\n    {account}  0.00000000 {currency} = {amount} {currency}\n",
        asserts_after=False,
    ),
    "beancount": Dialect(
        "{first} commodity {currency}\n",
        "{first} open {account} {currencies}\n",
        '\n{day} * "{kind} {id}"\n',
        "  {account}  {amount} {currency}\n",
        "\n{day} balance {account}  {amount} {currency}\n",
        asserts_after=True,
    ),
}


def write_journal(
    dialect_name: str, session: Session, asked: Asked, batches: Iterable[pa.RecordBatch], out: BinaryIO
) -> None:
    """Write the report `journal`. Balances are asserted at the end of each day that moved them."""
    dialect = DIALECTS[dialect_name]
    accounts = _accounts(session, asked)
    opens = asked.first - timedelta(days=1) if asked.first > date.min else asked.first
    out.write(_declarations(dialect_name, dialect, accounts, opens).encode())
    balances = {(one.name, one.currency): one.opening for one in accounts.values()}
    out.write(_opening(dialect, accounts, opens).encode())
    rows = (row for batch in batches for row in rows_of(batch.select(_NEEDED)))
    for day, of_day in groupby(rows, key=itemgetter(1)):
        moved: dict[tuple[str, str], None] = {}
        for _, lines in groupby(of_day, key=itemgetter(0)):
            text = _transaction(dialect, list(lines), accounts, balances, moved)
            out.write(text.encode())
        out.write(_assertions(dialect, day, moved, balances).encode())


def _accounts(session: Session, asked: Asked) -> dict[tuple[str, str], Held]:
    """The accounts that the period moves or finds filled, by ledger name and currency."""
    before = (
        select(Entry.account_id, func.sum(Entry.amount).label("opening"))
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on < asked.first)
        .group_by(Entry.account_id)
        .subquery()
    )
    during = (
        select(Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on.between(asked.first, asked.last))
    )
    query = select(Account.name, Account.currency, Account.kind, before.c.opening)
    query = query.outerjoin(before, before.c.account_id == Account.id)
    query = query.where(Account.id.in_(during) | (before.c.opening != 0)).order_by(Account.name, Account.currency)
    return {
        (name, currency): Held(_account(name, kind), currency, int(opening or 0))
        for name, currency, kind, opening in session.execute(query)
    }


def _declarations(name: str, dialect: Dialect, accounts: dict[tuple[str, str], Held], opens: date) -> str:
    lines = ['option "tolerance_multiplier" "0"\n'] if name == "beancount" else []
    currencies: dict[str, set[str]] = {_OPENING: {one.currency for one in accounts.values()}}
    for one in accounts.values():
        currencies.setdefault(one.name, set()).add(one.currency)
    lines += [dialect.commodity.format(first=opens, currency=one) for one in sorted(currencies[_OPENING])]
    lines += [
        dialect.account.format(first=opens, account=account, currencies=",".join(sorted(codes)))
        for account, codes in sorted(currencies.items())
    ]
    return "".join(lines)


def _opening(dialect: Dialect, accounts: dict[tuple[str, str], Held], opens: date) -> str:
    """What the accounts held before the period, against an account of its own."""
    held = [one for one in accounts.values() if one.opening]
    if not held:
        return ""
    lines = [dialect.transaction.format(day=opens, kind="opening", id="balances")]
    totals: dict[str, int] = {}
    for one in held:
        totals[one.currency] = totals.get(one.currency, 0) + one.opening
        lines.append(_posting(dialect, one.name, one.opening, one.currency))
    lines += [_posting(dialect, _OPENING, -total, currency) for currency, total in sorted(totals.items()) if total]
    return "".join(lines)


def _transaction(
    dialect: Dialect,
    rows: list[Row],
    accounts: dict[tuple[str, str], Held],
    balances: dict[tuple[str, str], int],
    moved: dict[tuple[str, str], None],
) -> str:
    id_, day, kind = rows[0][:3]
    lines = [dialect.transaction.format(day=day, kind=_UNSAFE.sub("-", kind), id=id_)]
    for _, _, _, name, currency, amount in rows:
        account = accounts[name, currency].name
        balances[account, currency] += amount
        moved[account, currency] = None
        lines.append(_posting(dialect, account, amount, currency))
    return "".join(lines)


def _assertions(
    dialect: Dialect, day: date, moved: Iterable[tuple[str, str]], balances: dict[tuple[str, str], int]
) -> str:
    on = day + timedelta(days=1) if dialect.asserts_after else day
    return "".join(
        dialect.assertion.format(
            day=on, account=account, amount=_amount(balances[account, currency], currency), currency=currency
        )
        for account, currency in moved
    )


def _posting(dialect: Dialect, account: str, amount: int, currency: str) -> str:
    return dialect.posting.format(account=account, amount=_amount(amount, currency), currency=currency)


def _amount(minor: int, currency: str) -> str:
    """With eight decimals, so that a wrong last digit cannot hide."""
    return f"{money.as_decimal(minor, currency).quantize(_SCALE):f}"


def _account(name: str, kind: str) -> str:
    """`players:7:UK` as `Liabilities:Players:C7:UK`: parts begin with a capital letter, as beancount wants it.

    No two accounts have one name.
    """
    parts = name.split(":")
    return ":".join([_ROOTS[kind], *(part if part == chart.BETTING_WALLET else _part(part) for part in parts)])


def _part(part: str) -> str:
    """What begins small is capitalised; what does not has its beginning written as a code point, behind a C.

    So has what would become the wallet's name, which is written as it is.
    """
    safe = _UNSAFE.sub(lambda match: f"-{ord(match[0]):x}-", part)
    capitalised = safe[:1].upper() + safe[1:]
    if safe[:1].islower() and not _LIKE_CODED.match(safe) and capitalised != chart.BETTING_WALLET:
        return capitalised
    return f"C{safe}" if safe[:1].isdigit() else f"C-{ord(safe[0]):x}-{safe[1:]}" if safe[:1].isalpha() else f"C{safe}"
