"""Closing accounting days, and opening them again."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.orm import Session

from wallet_hooks.database import has_row_locks, reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.asked import check_period
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger.chart import PLAYERS, balance_name
from wallet_hooks.ledger.models import Account, Entry, Period, Seal, Transaction
from wallet_hooks.ledger.sealing import (
    SealedDay,
    counts_of,
    newest_seal,
    seal_day,
    standing_seals,
)
from wallet_hooks.ledger.verify import CHECKS, Difference, Since, since

_ONE_DAY = timedelta(days=1)
_BATCH = 5000
_LONGEST_NAME = 100
_RULE = "a closed day is as it was sealed"
Progress = Callable[[str], None]


def close(engine: Engine, through: date, *, now: datetime, progress: Progress = lambda _: None) -> list[SealedDay]:
    """Check the ledger's rules, seal each day through `through` that is not closed yet, and lock them.

    What takes long is read beforehand; the transaction that closes waits for the postings that are under way, looks
    whether one of them came into these days after all, and keeps others waiting for no longer than that takes. It is
    all there afterwards or nothing is. Raises RefusedError: `bad_period`, `day_not_over`, `already_closed`,
    `ledger_broken`.
    """
    check_period(through, through)
    with reading(engine) as session:
        _check_over(session, through, now)
        first = _first_open_day(session, through)
        before = newest_seal(session)
        posted = since(session, before.day) if before else None  # what was sealed is for `verify` to prove again
        for check in (*CHECKS, check_totals):
            for difference in check(session, posted):
                raise RefusedError("ledger_broken", f"{difference.rule}: {difference.where}: {difference.what}")
        sealed = list(_seal(session, before, first, through, progress))
    with writing(engine) as session:
        _stop_postings(session, engine)
        if _first_open_day(session, through) != first or _hash(newest_seal(session)) != _hash(before):
            raise RefusedError("already_closed", "another close came first")
        counts = counts_of(session, first, through)
        if any(counts.get(one.day, (0, None)) != (one.transactions, one.last_id) for one in sealed):
            sealed = list(_seal(session, before, first, through, progress))
        for one in sealed:
            session.add(Period(day=one.day, closed_at=now))
            session.add(_row(one, now))
    return sealed


def reopen(engine: Engine, day: date, *, reason: str, by: str, now: datetime) -> int:
    """Open a closed day and all that were closed after it. Returns how many; their seals stay as a trace.

    Raises RefusedError where the day is not closed, or nothing is said about why.
    """
    if not reason.strip():
        raise RefusedError("reason_required", "reopening needs a reason")
    if not 0 < len(by) <= _LONGEST_NAME:
        raise RefusedError("bad_value", f"who reopens has a name of up to {_LONGEST_NAME} characters")
    with writing(engine) as session:
        _stop_postings(session, engine)
        seals = [seal for seal in standing_seals(session) if seal.day >= day]
        if not seals or seals[0].day != day:
            raise RefusedError("not_closed", f"{day} is not closed")
        for seal in seals:
            seal.reopened_at, seal.reopened_by, seal.reopen_reason = now, by, reason
        session.execute(delete(Period).where(Period.day >= day))
    return len(seals)


def check_seals(session: Session, posted: Since | None) -> list[Difference]:
    """The closed days whose seals no longer fit, each with what differs."""
    differences = []
    after = posted.seal.day if posted else date.min
    previous = posted.seal.hash if posted else ""
    balances = posted.seal.balances if posted else {}
    days = dict.fromkeys(session.scalars(select(Period.day).where(Period.day > after).order_by(Period.day)))
    for seal in standing_seals(session, after=after):
        again = seal_day(session, seal.day, previous, balances)
        wrong = [
            f"{name} {getattr(again, name)!r}, sealed {getattr(seal, name)!r}"
            for name in ("previous", "transactions", "entries", "last_id", "totals", "balances", "hash")
            if getattr(again, name) != getattr(seal, name)
        ]
        if seal.day not in days:
            wrong.append("sealed but not closed")
        if wrong:
            differences.append(
                Difference("a closed day is as it was sealed", f"day {seal.day}", "; ".join(wrong)[:500])
            )
        days.pop(seal.day, None)
        previous, balances = seal.hash, seal.balances
    return differences + [Difference(_RULE, f"day {day}", "closed without a seal") for day in days]


def check_totals(session: Session, posted: Since | None) -> list[Difference]:
    """What customers' accounts hold, summed by wallet, against the seal and what was posted since.

    Accounts that nothing was posted to since are proven by this alone; over all history each is proven by itself.
    """
    if posted is None:
        return []
    sums: dict[tuple[str, str], int] = {}
    for name, amounts in posted.seal.balances.items():
        if name.startswith(PLAYERS):
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
        for name, currency, amount in session.execute(query.execution_options(yield_per=_BATCH)):
            key = (balance_name(name), currency)
            sums[key] = sums.get(key, 0) + int(amount or 0)
    rule = "balances are those of the seal and what was posted since"
    return [
        Difference(rule, f"{name} {currency}", f"differ by {amount}")
        for (name, currency), amount in sorted(sums.items())
        if amount
    ]


def _check_over(session: Session, through: date, now: datetime) -> None:
    brands = [brand_facts(brand) for brand in session.scalars(select(Brand).order_by(Brand.id))]
    if not brands:
        raise RefusedError("day_not_over", "without a brand nobody knows when a day is over")
    for brand in brands:
        if brand.booking_day(now) <= through:
            until = brand.day_begins(through + _ONE_DAY)
            raise RefusedError("day_not_over", f"{through} is not over for {brand.client} before {until.isoformat()}")


def _first_open_day(session: Session, through: date) -> date:
    """The first day that is not closed. Raises RefusedError where `through` is."""
    last: date | None = session.scalar(select(func.max(Period.day)))
    if last is None:
        oldest: date | None = session.scalar(select(func.min(Transaction.booked_on)))
        return min(oldest or through, through)
    if last >= through:
        raise RefusedError("already_closed", f"{through} is closed, and all before {last + _ONE_DAY}")
    return last + _ONE_DAY


def _seal(session: Session, before: Seal | None, first: date, through: date, progress: Progress) -> Iterator[SealedDay]:
    previous, balances = (before.hash, before.balances) if before else ("", {})
    for ordinal in range(first.toordinal(), through.toordinal() + 1):
        sealed = seal_day(session, date.fromordinal(ordinal), previous, balances)
        previous, balances = sealed.hash, sealed.balances
        progress(f"{sealed.day}: {sealed.transactions} transactions")
        yield sealed


def _stop_postings(session: Session, engine: Engine) -> None:
    """Wait for the postings and closes that are under way, and keep others waiting until this transaction ends."""
    if has_row_locks(engine):  # SQLite has one writer at a time anyway
        session.execute(text("SET LOCAL lock_timeout = '5s'"))
        session.execute(text("LOCK TABLE ledger_transaction IN SHARE ROW EXCLUSIVE MODE"))


def _hash(seal: Seal | None) -> str:
    return seal.hash if seal else ""


def _row(one: SealedDay, now: datetime) -> Seal:
    return Seal(
        day=one.day,
        previous=one.previous,
        hash=one.hash,
        transactions=one.transactions,
        entries=one.entries,
        last_id=one.last_id,
        totals=one.totals,
        balances=one.balances,
        sealed_at=now,
    )
