"""The reports of finance, each as columns and a query, read from one database snapshot with constant memory.

Amounts are in minor units of the row's currency, debit positive in reports of accounts. Days are accounting days.
"""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import ColumnElement, Date, ScalarSelect, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import stream_rows
from wallet_hooks.database.streams import stream_batches
from wallet_hooks.database.tables import as_day
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.batches import Columns, Row, arrow_schema, in_batches
from wallet_hooks.finance.report_request import ReportRequest, StatementPage
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.ledger.queries import account_id, entries_of
from wallet_hooks.ledger.sealing import newest_seal
from wallet_hooks.sportsbook.messages import BetKey, step_name
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.sportsbook.queries import wager_reference


class Report(NamedTuple):
    """A report: its columns, and a function that yields record batches with amounts in minor units."""

    columns: Columns
    batches: Callable[[Session, ReportRequest], Iterator[pa.RecordBatch]]
    needs_customer: bool = False
    credit_positive: bool = False


def _journal(session: Session, request: ReportRequest) -> Iterator[pa.RecordBatch]:
    """Yield all entries by day, in the order in which they were posted."""
    entries = (
        select(
            Transaction.id, Entry.line, Transaction.occurred_at, Transaction.recorded_at, Transaction.kind,
            Transaction.reference, Transaction.description, Account.name, Entry.currency, Entry.amount,
            Entry.balance_after,
        )
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .order_by(Transaction.id, Entry.line)
    )  # fmt: skip
    days = (
        select(Transaction.booked_on, func.min(Transaction.id), func.max(Transaction.id))
        .where(Transaction.booked_on.between(request.first, request.last))
        .group_by(Transaction.booked_on)
        .order_by(Transaction.booked_on)
    )
    for day, first, last in session.execute(days).all():
        # With the bounds of ids, both tables are read in the order of their keys, nothing is sorted.
        of_day = entries.where(
            Transaction.booked_on == day, Transaction.id.between(first, last), Entry.transaction_id.between(first, last)
        )
        # The day is the same in all rows, so it is added here instead of being read with each.
        for batch in stream_batches(session, of_day, _JOURNAL_SCHEMA.remove(_DAY_AT), in_key_order=True):
            yield batch.add_column(_DAY_AT, _JOURNAL_SCHEMA.field(_DAY_AT), pa.repeat(day, batch.num_rows))


def _statement(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Return a customer's betting wallet: opening balance, items with running balance, closing balance.

    Credit is positive.
    A page continues after an item's number in the wallet, so every page costs the same. Raises RefusedError,
    NotFoundError, both before the first row is read.
    """
    assert request.customer is not None
    client, uid = request.customer
    customer, _ = customer_by_uid(session, client=client, uid=uid)
    page = request.page or StatementPage(limit=_UNLIMITED)
    balance = _read_balance(page.balance, customer.currency) if page.item else None
    return _statement_rows(session, request, customer, page, balance)


def _statement_rows(
    session: Session, request: ReportRequest, customer: Customer, page: StatementPage, balance: int | None
) -> Iterator[Row]:
    """Yield a statement's rows; `balance`, in minor units, is the one before a later page, None for the first."""
    currency = customer.currency
    wallet = account_id(session, chart.player(customer.id, currency))
    entries = entries_of(
        wallet, Entry.version, Transaction.booked_on, Transaction.occurred_at, Transaction.kind, Transaction.reference,
        Transaction.description, Entry.amount,
    ).where(Entry.version.is_not(None))  # fmt: skip
    if balance is None:
        before = entries.where(Transaction.booked_on < request.first).subquery()
        balance = -int(session.scalar(select(func.sum(before.c.amount))) or 0)
        yield 0, request.first, None, "opening", None, None, currency, None, balance
    items = entries.where(Transaction.booked_on.between(request.first, request.last), Entry.version > page.item)
    count = 0
    for item, booked_on, occurred_at, kind, reference, description, amount in stream_rows(
        session, items.order_by(Entry.version).limit(page.limit)
    ):
        balance -= amount
        count += 1
        yield item, booked_on, occurred_at, kind, reference, description, currency, -amount, balance
    if count < page.limit:
        yield None, request.last, None, "closing", None, None, currency, None, balance


_UNLIMITED = 2**62


def _read_balance(text: str, currency: str) -> int:
    """Return a balance in minor units. Raises RefusedError (`bad_page`) for an invalid one."""
    try:
        return money.parse_signed(text, lambda digits: money.parse_amount(digits, currency, maximum=2**63 - 1))
    except money.MoneyError as error:
        raise RefusedError("bad_page", f"balance: {error}") from None


def _trial_balance(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Yield opening balance, debits, credits and closing balance by account; customers summed by wallet."""
    opening = _balances_before(session, request.first)
    moved = _movements(session, request.first, request.last)
    for key in sorted(opening.keys() | moved.keys()):
        debit, credit = moved.get(key, (0, 0))
        before = opening.get(key, 0)
        if before or debit or credit:
            yield *key, before, debit, credit, before + debit - credit


def _balances_before(session: Session, first: date) -> dict[tuple[str, str], int]:
    """Return balances before a day, from the newest seal before it plus later entries, to avoid reading all history."""
    seal = newest_seal(session, before=first)
    balances = {
        (name, currency): minor
        for name, amounts in (seal.balances.items() if seal else ())
        for currency, minor in amounts.items()
    }
    since = seal.day + timedelta(days=1) if seal else date.min
    for key, (debit, credit) in _movements(session, since, first - timedelta(days=1)).items():
        balances[key] = balances.get(key, 0) + debit - credit
    return balances


def _movements(session: Session, first: date, last: date) -> dict[tuple[str, str], tuple[int, int]]:
    """Return debits and credits of the days by account and currency; customers summed by wallet."""
    if first > last:
        return {}
    debit = func.sum(case((Entry.amount > 0, Entry.amount), else_=0))
    credit = func.sum(case((Entry.amount < 0, -Entry.amount), else_=0))
    per_account = (
        select(Entry.account_id, debit.label("debit"), credit.label("credit"))
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on.between(first, last))
        .group_by(Entry.account_id)
        .subquery()
    )
    query = select(Account.name, Account.currency, per_account.c.debit, per_account.c.credit)
    moved: dict[tuple[str, str], tuple[int, int]] = {}
    for name, currency, debits, credits_ in stream_rows(
        session, query.join(per_account, per_account.c.account_id == Account.id)
    ):
        key = (chart.summary_name(name), currency)
        before = moved.get(key, (0, 0))
        moved[key] = (before[0] + int(debits), before[1] + int(credits_))
    return moved


def _gaming_revenue(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Yield stakes, winnings, GGR, commission and bets of settlements by day, brand, game and currency."""
    query = (
        select(
            Transaction.booked_on, Account.name, Entry.currency, Transaction.reference, Transaction.kind, Entry.amount
        )
        .join(Entry, Entry.transaction_id == Transaction.id)
        .join(Account, Account.id == Entry.account_id)
        .where(
            Transaction.booked_on.between(request.first, request.last), Transaction.kind.in_(["settlement", "reversal"])
        )
        .where(Account.holder_id.is_(None))
    )
    sums: dict[tuple[date, str, str, str], list[int]] = {}
    for booked_on, name, currency, reference, kind, amount in stream_rows(session, query):
        account = chart.parse_revenue_account(name)
        if account is None:
            continue
        game = account.game or _game_of(reference)
        totals = sums.setdefault((booked_on, account.brand, game, currency), [0, 0, 0, 0])
        column = _REVENUE_COLUMNS[account.kind]
        totals[column] += amount if column == 1 else -amount
        totals[3] += (1 if kind == "settlement" else -1) * (column == 0)
    for key, (stakes, winnings, commission, bets) in sorted(sums.items()):
        yield *key, stakes, winnings, stakes - winnings, commission, bets


def _game_of(reference: str) -> str:
    bet = BetKey.of_reference(reference)
    return bet.game if bet else ""


_REVENUE_COLUMNS = {chart.STAKES: 0, chart.WINNINGS: 1, chart.COMMISSION: 2}


def _open_bets(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Yield bets that were open at the period's end, as the ledger booked them: their stakes are those of player-funds.

    The age is counted up to the end of the brand's day.
    """
    for brand in map(brand_facts, session.scalars(select(Brand).order_by(Brand.client))):
        end = brand.day_begins(request.last + timedelta(days=1))
        query = (
            select(
                Wager.client, Wager.game, Wager.uid, Wager.user_uid, Wager.pool_uid, Wager.placed_at, Wager.currency,
                Wager.stake, Wager.possible_payout,
            )
            .where(Wager.client == brand.client, _was_open(request.last, end))
            .order_by(Wager.game, Wager.uid)
        )  # fmt: skip
        at = min(request.now, end)
        for client, game, uid, user, pool, placed_at, currency, stake, payout in stream_rows(session, query):
            yield client, game, uid, user, pool, placed_at, (at - placed_at).days, currency, stake, payout


# Between an event and the instant at which the day that it is booked on begins or ends: an event is booked late if its
# day was closed meanwhile, and a brand's time zone and start of the day may have been changed since.
_BOOKING_MARGIN = timedelta(days=3)


def _was_open(last: date, end: datetime) -> ColumnElement[bool]:
    """Return the SQL condition that a wager's stake, but not its end, was booked through the day that ended at `end`.

    Its first settlement counts, not a resettlement. Transactions are looked up only for wagers that were placed or
    closed late enough.
    """
    certain, possible = end - _BOOKING_MARGIN, end + _BOOKING_MARGIN
    last_step = case((Wager.status == "cancelled", "cancel"), else_=step_name("settlement", 1))
    was_staked = or_(Wager.placed_at < certain, _booked_on("stake") <= last)
    was_closed_later = and_(Wager.cost.is_not(None), Wager.closed_at >= certain, _booked_on(last_step) > last)
    return and_(Wager.placed_at < possible, was_staked, or_(Wager.status == "open", was_closed_later))


def _booked_on(step: str | ColumnElement[str]) -> ScalarSelect[date]:
    """Return the day on which a step of a wager is booked, as a subquery that PostgreSQL runs by the unique index."""
    return select(Transaction.booked_on).where(Transaction.reference == wager_reference(step)).scalar_subquery()


def _player_funds(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Yield the funds to safeguard at the period's end, by brand and currency: balances, open stakes, credit used.

    Computed from current balances minus later entries, to avoid reading all history.
    """
    since = (
        select(Entry.account_id, func.sum(Entry.amount).label("amount"))
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Transaction.booked_on > request.last)
        .group_by(Entry.account_id)
        .subquery()
    )
    balance = Account.balance - func.coalesce(since.c.amount, 0)
    wallet = or_(*(chart.has_wallet(Account.name, wallet) for wallet in chart.WALLETS))
    staked = chart.has_wallet(Account.name, chart.OPEN_STAKES)
    held = func.sum(case((wallet & (balance < 0), -balance), else_=0))
    used = func.sum(case((wallet & (balance > 0), balance), else_=0))
    stakes = func.sum(case((staked, -balance), else_=0))
    customers_with = func.count(func.distinct(case((balance != 0, Customer.id))))
    query = (
        select(Brand.client, Account.currency, customers_with, held, stakes, used)
        .join(Customer, Customer.id == Account.holder_id)
        .join(Brand, Brand.id == Customer.brand_id)
        .outerjoin(since, since.c.account_id == Account.id)
        .group_by(Brand.client, Account.currency)
        .order_by(Brand.client, Account.currency)
    )
    for client, currency, customers, balances, open_stakes, credit_used in stream_rows(session, query):
        if not customers:
            continue  # no customer had a balance, for example because all were created later
        yield client, currency, customers, int(balances), int(open_stakes), int(credit_used)


def _deliveries(session: Session, request: ReportRequest) -> Iterator[Row]:
    """Yield numbers of callbacks by day (UTC), path and status."""
    day = (
        cast(Delivery.received_at, Date)
        if session.get_bind().dialect.name == "postgresql"
        else func.date(Delivery.received_at)
    )
    columns = (day, Delivery.path, Delivery.status)
    query = select(*columns, func.count()).where(Delivery.received_at.between(*request.instants))
    query = query.group_by(*columns).order_by(*columns)
    for received_on, path, status, count in stream_rows(session, query):
        yield as_day(received_on), path, status, count


def _report(
    columns: Columns, rows: Callable[[Session, ReportRequest], Iterator[Row]], *, needs_customer: bool = False
) -> Report:
    return Report(
        columns, lambda session, request: in_batches(columns, rows(session, request)), needs_customer, needs_customer
    )


_JOURNAL_COLUMNS = {
    "transaction": "integer", "line": "integer", "booked_on": "day", "occurred_at": "instant",
    "recorded_at": "instant", "kind": "text", "reference": "text", "description": "text", "account": "text",
    "currency": "text", "amount": "amount", "balance_after": "amount",
}  # fmt: skip
_JOURNAL_SCHEMA = arrow_schema(_JOURNAL_COLUMNS, amounts=pa.int64())
_DAY_AT = _JOURNAL_SCHEMA.get_field_index("booked_on")
REPORTS: dict[str, Report] = {
    "journal": Report(_JOURNAL_COLUMNS, _journal),
    "statement": _report(
        {
            "item": "integer", "booked_on": "day", "occurred_at": "instant", "kind": "text", "reference": "text",
            "description": "text", "currency": "text", "amount": "amount", "balance": "amount",
        },
        _statement,
        needs_customer=True,
    ),
    "trial-balance": _report(
        {"account": "text", "currency": "text"}
        | dict.fromkeys(("opening", "debit", "credit", "closing"), "amount"),
        _trial_balance,
    ),
    "gaming-revenue": _report(
        {"day": "day", "brand": "text", "game": "text", "currency": "text"}
        | dict.fromkeys(("stakes", "winnings", "ggr", "commission"), "amount")
        | {"bets": "integer"},
        _gaming_revenue,
    ),
    "open-bets": _report(
        {
            "brand": "text", "game": "text", "bet": "text", "user": "text", "coupon": "text", "placed_at": "instant",
            "age_days": "integer", "currency": "text", "stake": "amount", "possible_payout": "amount",
        },
        _open_bets,
    ),
    "player-funds": _report(
        {"brand": "text", "currency": "text", "customers": "integer"}
        | dict.fromkeys(("balances", "open_stakes", "credit_used"), "amount"),
        _player_funds,
    ),
    "deliveries": _report({"day": "day", "path": "text", "status": "integer", "callbacks": "integer"}, _deliveries),
}  # fmt: skip


def report_named(name: str) -> Report:
    """Return a report. Raises RefusedError (`unknown_report`)."""
    if name not in REPORTS:
        raise RefusedError("unknown_report", f"report: {name!r} is unknown; accepted are {', '.join(REPORTS)}")
    return REPORTS[name]
