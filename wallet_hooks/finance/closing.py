"""Closing and reopening of accounting days."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from wallet_hooks.database import has_row_locks, reading, writing
from wallet_hooks.database.transactions import lock_table
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.report_request import check_period
from wallet_hooks.finance.verification import CLOSING_CHECKS
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.service import own_brands
from wallet_hooks.ledger.models import Period, Seal, Transaction
from wallet_hooks.ledger.sealing import SealedDay, counts_of, newest_seal, not_closed, seal_day, seals_in_force
from wallet_hooks.ledger.verify import since

_ONE_DAY = timedelta(days=1)
DayProgress = Callable[[str], None]
# Called in the database transaction that closes or reopens, to record who did it.
Recording = Callable[[Session], None]


def close(
    engine: Engine,
    through: date,
    *,
    now: datetime,
    progress: DayProgress = lambda _: None,
    record: Recording = lambda _: None,
) -> list[SealedDay]:
    """Check the ledger's rules, then seal and lock each open day through `through`. Return the sealed days.

    Checks and hashes are computed before the closing database transaction. That transaction waits for the postings in
    progress, blocks new ones, and seals again if a posting was booked on these days meanwhile. Closing is atomic.
    Raises RefusedError: `bad_period`, `day_not_over`, `already_closed`, `ledger_broken`.
    """
    check_period(through, through)
    with reading(engine) as session:
        _check_over(session, through, now)
        first = _first_day_to_close(session, through)
        before = newest_seal(session)
        posted = since(session, before.day) if before else None  # sealed days are checked by `verify`
        for check in CLOSING_CHECKS:
            for difference in check(session, posted):
                raise RefusedError("ledger_broken", str(difference))
        sealed = list(_seal(session, before, first, through, progress))
    with writing(engine) as session:
        _block_postings(session, engine)
        if _first_day_to_close(session, through) != first or _hash(newest_seal(session)) != _hash(before):
            raise RefusedError("already_closed", "another process closed these days first")
        counts = counts_of(session, first, through)
        if any(counts.get(one.day, (0, None)) != (one.transactions, one.last_id) for one in sealed):
            sealed = list(_seal(session, before, first, through, progress))
        for one in sealed:
            session.add(Period(day=one.day, closed_at=now))
            session.add(_seal_row(one, now))
        record(session)
    return sealed


def reopen(
    engine: Engine,
    day: date,
    *,
    reason: str,
    by: str,
    now: datetime,
    newest: date | None = None,
    record: Recording = lambda _: None,
) -> int:
    """Open a closed day and all closed days after it. Return how many. Their seals stay, marked as reopened.

    `newest` is the last closed day that the caller knows, if it does. Raises RefusedError: `not_closed`,
    `reason_required`, and `outdated` where another day is the last one.
    """
    if not reason.strip():
        raise RefusedError("reason_required", "reason: empty; reopening needs a reason")
    with writing(engine) as session:
        _block_postings(session, engine)
        seals = [seal for seal in seals_in_force(session) if seal.day >= day]
        if not seals or seals[0].day != day:
            raise not_closed(session, day)
        if newest not in (None, seals[-1].day):
            raise RefusedError("outdated", f"Meanwhile {seals[-1].day} is the last closed day. Open the page again.")
        for seal in seals:
            seal.reopened_at, seal.reopened_by, seal.reopen_reason = now, by, reason
        session.execute(delete(Period).where(Period.day >= day))
        record(session)
    return len(seals)


def _check_over(session: Session, through: date, now: datetime) -> None:
    brands = [brand_facts(brand) for brand in own_brands(session)]
    if not brands:
        raise RefusedError("day_not_over", "there is no brand, so the end of the day is not defined")
    for brand in brands:
        if brand.booking_day(now) <= through:
            until = brand.day_begins(through + _ONE_DAY)
            raise RefusedError("day_not_over", f"{through} ends for brand {brand.client} at {until.isoformat()}")


def _first_day_to_close(session: Session, through: date) -> date:
    """Return the first open day. Raises RefusedError (`already_closed`) if `through` is closed."""
    last: date | None = session.scalar(select(func.max(Period.day)))
    if last is None:
        oldest: date | None = session.scalar(select(func.min(Transaction.booked_on)))
        return min(oldest or through, through)
    if last >= through:
        raise RefusedError("already_closed", f"{through} is closed already; the first open day is {last + _ONE_DAY}")
    return last + _ONE_DAY


def _seal(
    session: Session, before: Seal | None, first: date, through: date, progress: DayProgress
) -> Iterator[SealedDay]:
    previous, balances = (before.hash, before.balances) if before else ("", {})
    for ordinal in range(first.toordinal(), through.toordinal() + 1):
        sealed = seal_day(session, date.fromordinal(ordinal), previous, balances)
        previous, balances = sealed.hash, sealed.balances
        progress(f"{sealed.day}: {sealed.transactions} transactions")
        yield sealed


def _block_postings(session: Session, engine: Engine) -> None:
    """Wait for postings and closes in progress, and block new ones until this database transaction ends."""
    if has_row_locks(engine):  # SQLite allows one writer at a time
        lock_table(session, Transaction)


def _hash(seal: Seal | None) -> str:
    return seal.hash if seal else ""


def _seal_row(one: SealedDay, now: datetime) -> Seal:
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
