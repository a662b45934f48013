"""The checks of `wallet-hooks verify`: the ledger's rules, seals, balances since a seal, and usage of limits.

Each check reads all history, or what was posted since a seal (`Since`), and returns the first differences.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.commission import commission_due
from wallet_hooks.customers.models import Customer, Payment
from wallet_hooks.database import can_share_snapshot, reading_beside, stream_rows
from wallet_hooks.database.transactions import use_one_process
from wallet_hooks.finance.subledger_checks import check_accounts, check_open_stakes, check_payments
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.chart import summary_name
from wallet_hooks.ledger.models import Account, Entry, Period, Seal, Transaction
from wallet_hooks.ledger.queries import RETURNING_KINDS
from wallet_hooks.ledger.sealing import seal_day, seals_in_force
from wallet_hooks.ledger.verify import CHECKS, MAX_DIFFERENCES, Difference, Since
from wallet_hooks.limits.models import LimitUsage
from wallet_hooks.limits.usage import DayUsage
from wallet_hooks.sportsbook.messages import is_returned
from wallet_hooks.sportsbook.models import Wager

_SEAL_RULE = "a closed day matches its seal"
_BALANCE_RULE = "balances equal the seal's plus later entries"
_USAGE_RULE = "limit usage matches the ledger, wagers and payments"
# Part of a customer's usage: customer id, local day, amounts in minor units.
_Count = tuple[int, date, DayUsage]


def check_totals(session: Session, posted: Since | None) -> list[Difference]:
    """Compare customers' balances, summed by wallet, with the seal plus what was posted since.

    This is the only check of accounts without entries since the seal. Over all history it checks nothing, because
    then every account is checked by itself.
    """
    if posted is None:
        return []
    sums: dict[tuple[str, str], int] = {}
    for name, amounts in posted.seal.balances.items():
        if chart.is_player(name):
            sums |= {(name, currency): -amount for currency, amount in amounts.items()}
    held = select(Account.name, Account.currency, Account.balance).where(Account.holder_id.is_not(None))
    moved = (
        select(Account.name, Account.currency, -func.sum(Entry.amount))
        .join(Entry, Entry.account_id == Account.id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Account.holder_id.is_not(None), Transaction.id >= posted.first_id)
        .where(Transaction.booked_on > posted.seal.day)
        .group_by(Account.id, Account.name, Account.currency)
    )
    for query in (held, moved):
        for name, currency, amount in stream_rows(session, query):
            key = (summary_name(name), currency)
            sums[key] = sums.get(key, 0) + int(amount or 0)
    return [
        Difference(_BALANCE_RULE, f"{name} {currency}", f"differ by {amount}")
        for (name, currency), amount in sorted(sums.items())
        if amount
    ]


def check_seals(session: Session, posted: Since | None) -> list[Difference]:
    """Seal the closed days again and return those whose seals differ, with the fields that differ.

    Over all history, nothing is booked on days before the first seal: it is of the oldest day.
    """
    differences = [] if posted else _before_seals(session)
    after = posted.seal.day if posted else date.min
    previous = posted.seal.hash if posted else ""
    balances = posted.seal.balances if posted else {}
    days = dict.fromkeys(session.scalars(select(Period.day).where(Period.day > after).order_by(Period.day)))
    for seal in seals_in_force(session, after=after):
        again = seal_day(session, seal.day, previous, balances)
        wrong = [
            f"{name} {getattr(again, name)!r}, sealed {getattr(seal, name)!r}"
            for name in ("previous", "transactions", "entries", "last_id", "totals", "balances", "hash")
            if getattr(again, name) != getattr(seal, name)
        ]
        if seal.day not in days:
            wrong.append("sealed but not closed")
        if wrong:
            differences.append(Difference(_SEAL_RULE, f"day {seal.day}", "; ".join(wrong)[:500]))
        days.pop(seal.day, None)
        previous, balances = seal.hash, seal.balances
    return differences + [Difference(_SEAL_RULE, f"day {day}", "closed without a seal") for day in days]


def _before_seals(session: Session) -> list[Difference]:
    first = select(func.min(Seal.day)).where(Seal.reopened_at.is_(None)).scalar_subquery()
    query = select(Transaction.id, Transaction.booked_on).where(Transaction.booked_on < first)
    return [
        Difference(_SEAL_RULE, f"transaction {id_}", f"booked on {day}, before the first day with a seal")
        for id_, day in session.execute(query.order_by(Transaction.id).limit(MAX_DIFFERENCES))
    ]


def check_usage(session: Session, posted: Since | None) -> list[Difference]:
    """Compare stored usage of limits with wagers, ledger and payments; return the first days that differ.

    Memory use is constant: everything is read in the order of customers.
    """
    after = posted.seal.day if posted else date.min
    brands = {brand.id: brand_facts(brand) for brand in session.scalars(select(Brand))}
    begins = min((brand.day_begins(after + timedelta(days=1)) for brand in brands.values() if posted), default=None)
    counted = merge(
        _from_wagers(session, brands, begins),
        _from_ledger(session, brands, posted),
        _from_payments(session, brands, begins),
        key=itemgetter(0),
    )
    stored = ((row.customer_id, row.day, _negated(row)) for row in stream_rows(session, _usage_query(after)))
    differences: list[Difference] = []
    days = (count for count in merge(counted, stored, key=itemgetter(0)) if count[1] > after)
    for customer_id, counts in groupby(days, key=itemgetter(0)):
        differences += _differences(customer_id, counts)
        if len(differences) >= MAX_DIFFERENCES:
            break
    return differences[:MAX_DIFFERENCES]


CLOSING_CHECKS = (*CHECKS, check_totals)  # of what was posted since the last seal, before a day is closed
ALL_CHECKS = (*CLOSING_CHECKS, check_payments, check_open_stakes, check_accounts, check_seals, check_usage)


def run_checks(session: Session, posted: Since | None, *, gently: bool = False) -> Iterator[list[Difference]]:
    """Run all checks on the session's snapshot; yield the differences that each found.

    Where connections can share a snapshot, the last one, which takes as long as all others, runs beside them. `gently`,
    all run one after the other, in one process of PostgreSQL.
    """
    *first, last = ALL_CHECKS
    if gently:
        use_one_process(session)
    if gently or not can_share_snapshot(session):
        yield from (check(session, posted) for check in ALL_CHECKS)
        return
    with reading_beside(session) as other, ThreadPoolExecutor(1) as thread:
        running = thread.submit(last, other, posted)
        yield from (check(session, posted) for check in first)
        yield running.result()


def _differences(customer_id: int, counts: Iterable[_Count]) -> Iterator[Difference]:
    days: dict[date, DayUsage] = {}
    for _, day, usage in counts:
        days[day] = days.get(day, DayUsage()).plus(usage)
    for day, usage in sorted(days.items()):
        if any(usage):
            wrong = ", ".join(f"{name} by {-amount}" for name, amount in usage._asdict().items() if amount)
            yield Difference(_USAGE_RULE, f"customer {customer_id} on {day}", f"differs: {wrong}")


def _from_wagers(session: Session, brands: dict[int, BrandFacts], begins: datetime | None) -> Iterator[_Count]:
    """Yield stakes, and what was voided or returned of them, by the day on which the bet was placed."""
    columns = (Wager.customer_id, Customer.brand_id, Wager.placed_at, Wager.cost, Wager.status, Wager.outcome)
    query = select(*columns, Wager.home_payout, Wager.commission_rate).join(Customer, Customer.id == Wager.customer_id)
    query = query.where(Wager.cost.is_not(None), *([Wager.placed_at >= begins] if begins else []))
    for row in stream_rows(session, query.order_by(Wager.customer_id)):
        is_void = is_returned(row.status, row.outcome)
        returned = 0
        if row.status == "settled" and not is_void:
            # Not by the code that settles bets: what it counted is verified here.
            returned = row.home_payout - commission_due(row.home_payout - row.cost, row.commission_rate)
        usage = DayUsage(staked=row.cost, voided=row.cost if is_void else 0, returned=returned)
        yield row.customer_id, brands[row.brand_id].booking_day(row.placed_at), usage


def _from_ledger(session: Session, brands: dict[int, BrandFacts], posted: Since | None) -> Iterator[_Count]:
    """Yield what settlements, reversals and cancels paid to betting wallets, by the day on which it was paid."""
    query = (
        select(Account.holder_id, Customer.brand_id, Transaction.occurred_at, Entry.amount)
        .join(Account, Account.id == Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .join(Customer, Customer.id == Account.holder_id)
        .where(Account.name == chart.player_name(Account.holder_id))
        .where(Transaction.kind.in_(RETURNING_KINDS))
        .where(*([Transaction.id >= posted.first_id] if posted else []))
    )
    for row in stream_rows(session, query.order_by(Account.holder_id)):
        yield row.holder_id, _day(brands, row.brand_id, row.occurred_at), DayUsage(paid=-row.amount)


def _from_payments(session: Session, brands: dict[int, BrandFacts], begins: datetime | None) -> Iterator[_Count]:
    """Yield deposits that did not fail, by the day on which they were created.

    Expired reserves are counted too: they are deducted only where usage is read (`limits.service.usage_of_players`).
    """
    columns = (Payment.customer_id, Payment.brand_id, Payment.created_at, Payment.amount)
    query = select(*columns).where(Payment.kind == "deposit", Payment.status != "failed")
    query = query.where(*([Payment.created_at >= begins] if begins else []))
    for row in stream_rows(session, query.order_by(Payment.customer_id)):
        yield row.customer_id, _day(brands, row.brand_id, row.created_at), DayUsage(deposited=row.amount)


def _usage_query(after: date) -> Select[Any]:
    columns = (getattr(LimitUsage, name) for name in ("customer_id", "day", *DayUsage._fields))
    return select(*columns).where(LimitUsage.day > after).order_by(LimitUsage.customer_id)


def _negated(row: Any) -> DayUsage:
    return DayUsage(*(-getattr(row, name) for name in DayUsage._fields))


def _day(brands: dict[int, BrandFacts], brand_id: int, instant: datetime) -> date:
    return brands[brand_id].booking_day(instant)
