"""Proof that what counts against limits is what the ledger, the wagers and the payments say."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, String, cast, select
from sqlalchemy.orm import Session

from wallet_hooks.cashier.models import Payment
from wallet_hooks.customers.commission import commission_due
from wallet_hooks.customers.models import Customer
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.ledger.verify import MAX_DIFFERENCES, Difference, Since
from wallet_hooks.limits.models import LimitUsage
from wallet_hooks.limits.usage import DayUsage
from wallet_hooks.sportsbook.models import Wager

_BATCH = 2000
_RULE = "usage of limits is what the ledger says"
# Something that counts: whose, on which day, what.
_Count = tuple[int, date, DayUsage]


def check_usage(session: Session, posted: Since | None) -> list[Difference]:
    """The first days on which usage is not what it should be. Memory stays flat: all is read customer by customer."""
    after = posted.seal.day if posted else date.min
    brands = {brand.id: brand_facts(brand) for brand in session.scalars(select(Brand))}
    begins = min((brand.day_begins(after + timedelta(days=1)) for brand in brands.values() if posted), default=None)
    counted = merge(
        _from_wagers(session, brands, begins),
        _from_ledger(session, brands, posted),
        _from_payments(session, brands, begins),
        key=itemgetter(0),
    )
    stored = ((row.customer_id, row.day, _negated(row)) for row in _stream(session, _usage_query(after)))
    differences: list[Difference] = []
    days = (count for count in merge(counted, stored, key=itemgetter(0)) if count[1] > after)
    for customer_id, counts in groupby(days, key=itemgetter(0)):
        differences += _differences(customer_id, counts)
        if len(differences) >= MAX_DIFFERENCES:
            break
    return differences[:MAX_DIFFERENCES]


def _differences(customer_id: int, counts: Iterable[_Count]) -> Iterator[Difference]:
    days: dict[date, DayUsage] = {}
    for _, day, usage in counts:
        days[day] = days.get(day, DayUsage()).plus(usage)
    for day, usage in sorted(days.items()):
        if any(usage):
            wrong = ", ".join(f"{name} by {-amount}" for name, amount in usage._asdict().items() if amount)
            yield Difference(_RULE, f"customer {customer_id} on {day}", f"differs: {wrong}")


def _from_wagers(session: Session, brands: dict[int, BrandFacts], begins: datetime | None) -> Iterator[_Count]:
    """Stakes, and what became of them, on the days on which they were placed."""
    columns = (Wager.customer_id, Customer.brand_id, Wager.placed_at, Wager.cost, Wager.status, Wager.outcome)
    query = select(*columns, Wager.home_payout, Wager.commission_rate).join(Customer, Customer.id == Wager.customer_id)
    query = query.where(Wager.cost.is_not(None), *([Wager.placed_at >= begins] if begins else []))
    for row in _stream(session, query.order_by(Wager.customer_id)):
        is_void = row.status == "cancelled" or row.outcome == "void"
        returned = 0
        if row.status == "settled" and not is_void:
            returned = row.home_payout - commission_due(row.home_payout - row.cost, row.commission_rate)
        usage = DayUsage(staked=row.cost, voided=row.cost if is_void else 0, returned=returned)
        yield row.customer_id, brands[row.brand_id].booking_day(row.placed_at), usage


def _from_ledger(session: Session, brands: dict[int, BrandFacts], posted: Since | None) -> Iterator[_Count]:
    """What came back to players' wallets, on the days on which it came."""
    wallet = "players:" + cast(Account.holder_id, String) + f":{chart.BETTING_WALLET}"
    query = (
        select(Account.holder_id, Customer.brand_id, Transaction.occurred_at, Entry.amount)
        .join(Account, Account.id == Entry.account_id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .join(Customer, Customer.id == Account.holder_id)
        .where(Account.name == wallet, Transaction.kind.in_(["settlement", "reversal", "cancel"]))
        .where(*([Transaction.id >= posted.first_id] if posted else []))
    )
    for row in _stream(session, query.order_by(Account.holder_id)):
        yield row.holder_id, _day(brands, row.brand_id, row.occurred_at), DayUsage(paid=-row.amount)


def _from_payments(session: Session, brands: dict[int, BrandFacts], begins: datetime | None) -> Iterator[_Count]:
    """Deposits that did not fail, on the days on which they began."""
    columns = (Payment.customer_id, Payment.brand_id, Payment.created_at, Payment.amount)
    query = select(*columns).where(Payment.kind == "deposit", Payment.status != "failed")
    query = query.where(*([Payment.created_at >= begins] if begins else []))
    for row in _stream(session, query.order_by(Payment.customer_id)):
        yield row.customer_id, _day(brands, row.brand_id, row.created_at), DayUsage(deposited=row.amount)


def _usage_query(after: date) -> Select[Any]:
    columns = (getattr(LimitUsage, name) for name in ("customer_id", "day", *DayUsage._fields))
    return select(*columns).where(LimitUsage.day > after).order_by(LimitUsage.customer_id)


def _negated(row: Any) -> DayUsage:
    return DayUsage(*(-getattr(row, name) for name in DayUsage._fields))


def _stream(session: Session, query: Any) -> Iterator[Any]:
    return iter(session.execute(query.execution_options(yield_per=_BATCH)))


def _day(brands: dict[int, BrandFacts], brand_id: int, instant: datetime) -> date:
    return brands[brand_id].booking_day(instant)
