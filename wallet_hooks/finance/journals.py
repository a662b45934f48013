"""The journal as plain text for hledger, ledger and beancount: declarations, all amounts, balance assertions.

Names cannot inject lines: any character but a letter, a digit, `-` or a separator is written as its code point.
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
from wallet_hooks.finance.batches import Row, rows_of
from wallet_hooks.finance.report_request import ReportRequest
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
_LOOKS_ENCODED = re.compile(r"c[0-9-]")
_NEEDED = ["transaction", "booked_on", "kind", "account", "currency", "amount"]
_SCALE = Decimal(1).scaleb(-money.MAX_DECIMALS)


class JournalAccount(NamedTuple):
    """An account by its name in the journal, its currency, and its balance before the period, in minor units."""

    name: str
    currency: str
    opening: int


class Dialect(NamedTuple):
    """The line templates of a program."""

    commodity: str
    account: str
    transaction: str
    posting: str
    assertion: str
    asserts_after: bool  # whether a day's closing balance is asserted on the next day


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
    dialect_name: str, session: Session, request: ReportRequest, batches: Iterable[pa.RecordBatch], out: BinaryIO
) -> None:
    """Write the report `journal`. The balances that a day changed are asserted at its end."""
    dialect = DIALECTS[dialect_name]
    accounts = _accounts(session, request)
    opens = request.first - timedelta(days=1) if request.first > date.min else request.first
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


def _accounts(session: Session, request: ReportRequest) -> dict[tuple[str, str], JournalAccount]:
    """Return the accounts with entries in the period or a balance before it, by ledger name and currency."""
    before = (
        select(Entry.account_id, func.sum(Entry.amount).label("opening"))
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on < request.first)
        .group_by(Entry.account_id)
        .subquery()
    )
    during = (
        select(Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on.between(request.first, request.last))
    )
    query = select(Account.name, Account.currency, Account.kind, before.c.opening)
    query = query.outerjoin(before, before.c.account_id == Account.id)
    query = query.where(Account.id.in_(during) | (before.c.opening != 0)).order_by(Account.name, Account.currency)
    return {
        (name, currency): JournalAccount(_account(name, kind), currency, int(opening or 0))
        for name, currency, kind, opening in session.execute(query)
    }


def _declarations(name: str, dialect: Dialect, accounts: dict[tuple[str, str], JournalAccount], opens: date) -> str:
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


def _opening(dialect: Dialect, accounts: dict[tuple[str, str], JournalAccount], opens: date) -> str:
    """Return a transaction that posts the balances before the period against an opening account."""
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
    accounts: dict[tuple[str, str], JournalAccount],
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
    """Return the amount with eight decimals, so that readers do not round away a difference."""
    return f"{money.as_decimal(minor, currency).quantize(_SCALE):f}"


def _account(name: str, kind: str) -> str:
    """Return the journal name of a ledger account: `players:7:UK` is `Liabilities:Players:C7:UK`.

    Parts begin with a capital letter, as beancount requires. Different accounts have different names.
    """
    parts = chart.parts_of(name)
    return ":".join([_ROOTS[kind], *(part if part in chart.WALLETS else _part(part) for part in parts)])


def _part(part: str) -> str:
    """Encode a part of an account name so that different parts stay different.

    A part that begins with a lower-case letter is capitalised. Any other, and any that would become the
    wallet's name or looks encoded already, gets a prefix C; a first letter is then written as a code point.
    """
    safe = _UNSAFE.sub(lambda match: f"-{ord(match[0]):x}-", part)
    capitalised = safe[:1].upper() + safe[1:]
    if safe[:1].islower() and not _LOOKS_ENCODED.match(safe) and capitalised not in chart.WALLETS:
        return capitalised
    return f"C{safe}" if safe[:1].isdigit() else f"C-{ord(safe[0]):x}-{safe[1:]}" if safe[:1].isalpha() else f"C{safe}"
