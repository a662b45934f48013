"""Searches stored callbacks, newest first. Every page costs the same, however many there are."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from wallet_hooks.console.paging import READ, Listed, take_page
from wallet_hooks.console.statistics import answer_kind
from wallet_hooks.customers.models import Customer
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.sportsbook.messages import STATUSES, BetKey
from wallet_hooks.sportsbook.models import EarlyCancel, Wager

# Of a customer, the callbacks about its newest bets are found: this many that were taken, and that many refused.
SEARCHED_BETS = 200
_COLUMNS = (Delivery.id, Delivery.path, Delivery.received_at, Delivery.source, Delivery.status, Delivery.answer)
_MILLISECONDS = 80  # a delivery's id begins with its time in milliseconds, above this many bits


class DeliveryCriteria(NamedTuple):
    """What to find: of bets (their keys, None for any), answered with these statuses, received in a time span (UTC)."""

    bets: Sequence[str] | None = None
    statuses: Sequence[int] | None = None
    first: datetime | None = None
    last: datetime | None = None


def find_deliveries(session: Session, criteria: DeliveryCriteria, *, before: UUID | None) -> Listed[Any]:
    """Return a page of deliveries, without their bodies, newest first; `before` is the last id of the page before."""
    query: Any = select(*_COLUMNS, Delivery.duration_us).order_by(Delivery.id.desc()).limit(READ)
    if before is not None:
        query = query.where(Delivery.id < before)
    if criteria.first is not None:
        query = query.where(Delivery.id >= _first_id(criteria.first))
    if criteria.last is not None:
        query = query.where(Delivery.id < _first_id(criteria.last))
    if criteria.bets is not None:
        query = query.where(Delivery.id.in_(select(DeliveryBet.delivery_id).where(DeliveryBet.bet.in_(criteria.bets))))
        if criteria.statuses is not None:
            query = query.where(Delivery.status.in_(criteria.statuses))
        return take_page(session.execute(query), attrgetter("id"))
    if criteria.statuses is None:
        return take_page(session.execute(query), attrgetter("id"))
    return take_page(_newest_of(session, query, criteria.statuses), attrgetter("id"))


def statuses_of(outcome: str) -> Sequence[int] | None:
    """Return the statuses of an outcome, or the one of that number; None for any. Raises RefusedError."""
    if not outcome:
        return None
    found = [status for status in sorted(STATUSES | {405, 500}) if outcome in (answer_kind(status), str(status))]
    if not found:
        raise RefusedError("bad_outcome", f"outcome: {outcome[:20]!r} is unknown")
    return found


def keys_of_bet(session: Session, bet: str) -> list[str]:
    """Return the keys that a bet's id, or its whole key (`game:brand:id`), may mean: one for each provider."""
    providers = select(Provider.game, Brand.client).join(Brand, Brand.id == Provider.brand_id)
    keys = [str(BetKey(game, client, bet)) for game, client in session.execute(providers)]
    return [*keys, bet] if bet.count(":") >= 2 else keys


def keys_of_customer(session: Session, customer: Customer, brand: Brand) -> list[str]:
    """Return the keys of a customer's newest bets: taken, refused, and cancelled before they came."""
    stakes = chart.open_stakes(customer.id, customer.currency)
    account = select(Account.id).where(Account.holder_id == customer.id, Account.name == stakes.name)
    entries = (
        select(Transaction.reference)
        .join(Entry, Entry.transaction_id == Transaction.id)
        .where(Entry.account_id.in_(account), Entry.version.is_not(None))
        .order_by(Entry.version.desc())
        .limit(SEARCHED_BETS)
    )
    refused = (
        select(Wager.game, Wager.client, Wager.uid)
        .where(Wager.customer_id == customer.id, Wager.refusal.is_not(None))
        .order_by(Wager.placed_at.desc())
        .limit(SEARCHED_BETS)
    )
    cancelled = select(EarlyCancel.game, EarlyCancel.client, EarlyCancel.uid).where(
        EarlyCancel.client == brand.client, EarlyCancel.user_uid == customer.uid
    )
    taken = map(BetKey.of_reference, session.scalars(entries))
    keys = [str(key) for key in taken if key is not None]
    for query in (refused, cancelled.order_by(EarlyCancel.cancelled_at.desc()).limit(SEARCHED_BETS)):
        keys += [str(BetKey(*row)) for row in session.execute(query)]
    return list(dict.fromkeys(keys))


def _newest_of(session: Session, query: Any, statuses: Sequence[int]) -> Iterable[Any]:
    """Return the newest deliveries with any of the statuses. One query for each: an index has their order."""
    lists = []
    for status in statuses:
        one = query.where(Delivery.status == status)
        lists.append(session.execute(one if status == 200 else one.where(text("delivery.status <> 200"))).all())
    return islice(merge(*lists, key=attrgetter("id"), reverse=True), READ)


def _first_id(instant: datetime) -> UUID:
    """Return an id that no earlier delivery reaches. Raises RefusedError for an instant that no id can have."""
    milliseconds = int(instant.timestamp() * 1000)
    if not 0 <= milliseconds < 2**48:
        raise RefusedError("bad_time", "from and to: a time since 1970 is expected")
    return UUID(int=milliseconds << _MILLISECONDS)
