"""Facts of a capture's lines about bets and customers, read for a batch of deliveries at a time."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.database import has_brand_schemas
from wallet_hooks.database.bulk import RowSet, find_rows, run
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account, Entry, Transaction
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, REPLACED
from wallet_hooks.sportsbook.messages import BETS_PATH, BetKey
from wallet_hooks.sportsbook.models import Wager

_AT_A_TIME = 1000  # parameters of a statement
_LONGEST_DECISION = timedelta(minutes=1)


class CapturedCustomer(NamedTuple):
    """A customer with its brand and limits, and its balance before the capture in minor units of its currency."""

    customer: Customer
    brand: Brand
    opening_balance: int
    limits: Collection[PlayerLimit]


class _PlacedWager(NamedTuple):
    game: str
    client: str
    uid: str
    placed_at: datetime


_PLACED_WAGERS = find_rows(RowSet.of("requested", Wager, BetKey), Wager, _PlacedWager)


def read_placed_at(session: Session, keys: Iterable[BetKey]) -> dict[BetKey, datetime]:
    """Return when each of the bets was placed (UTC); those that are unknown are left out."""
    rows = run(session.connection(), _PLACED_WAGERS(sorted(set(keys))))
    return {BetKey(row.game, row.client, row.uid): row.placed_at for row in rows}


def find_placed_elsewhere(session: Session, keys: Collection[BetKey]) -> set[BetKey]:
    """Return the bets whose placing callback is not stored in the brand's tables.

    Where each brand has a schema, requests that name several brands are stored outside them.
    """
    if not has_brand_schemas(session.get_bind().engine):
        return set()
    texts = {str(key): key for key in keys}
    placing = select(DeliveryBet.bet).join(Delivery, Delivery.id == DeliveryBet.delivery_id)
    names, found = list(texts), set[str]()
    for first in range(0, len(names), _AT_A_TIME):
        some = names[first : first + _AT_A_TIME]
        found.update(session.scalars(placing.where(Delivery.path == BETS_PATH, DeliveryBet.bet.in_(some))))
    return {key for name, key in texts.items() if name not in found}


def find_in_progress(session: Session, instant: datetime) -> list[int]:
    """Return the ids of the transactions of callbacks that were received before an instant, and decided after it."""
    query = (
        select(DeliveryBet.bet, Delivery.received_at, Delivery.duration_us)
        .join(Delivery, Delivery.id == DeliveryBet.delivery_id)
        .where(Delivery.received_at < instant, Delivery.received_at >= instant - _LONGEST_DECISION)
    )
    found: list[int] = []
    for bet, received_at, duration_us in session.execute(query):
        decided_at = received_at + timedelta(microseconds=duration_us)
        if decided_at >= instant:
            key = BetKey.of_text(bet)
            wager = session.get(Wager, tuple(key))
            own = Transaction.reference.in_(key.references(wager.settlements if wager else 0))
            posted = select(Transaction.id).where(own, Transaction.occurred_at.between(received_at, decided_at))
            found += session.scalars(posted)
    return found


def read_customers(
    session: Session,
    names: Iterable[tuple[str, str]],
    *,
    began: datetime | None,
    in_progress: Collection[int],
    ended: datetime | None,
) -> dict[tuple[str, str], CapturedCustomer]:
    """Return customers by client name and uid; those that are unknown are left out.

    Balances are those before `began`, and with the transactions `in_progress` then; limits those in force at `ended`
    (UTC).
    """
    uids = defaultdict(list)
    for client, uid in names:
        uids[client].append(uid)
    found = {}
    for brand in [one for one in session.scalars(select(Brand)) if one.client in uids]:
        named = uids[brand.client]
        for first in range(0, len(named), _AT_A_TIME):
            some = named[first : first + _AT_A_TIME]
            query = select(Customer).where(Customer.brand_id == brand.id, Customer.uid.in_(some))
            customers = session.scalars(query).all()
            balances = _balances(session, customers, began, in_progress)
            limits = _limits(session, customers, ended)
            for one in customers:
                captured = CapturedCustomer(one, brand, balances.get(one.id, 0), limits[one.id])
                found[brand.client, one.uid] = captured
    return found


def count_bettors(session: Session, customer_ids: Sequence[int], *, since: datetime, until: datetime) -> int:
    """Return how many of the customers placed a bet in a period (UTC) that was not refused."""
    in_time = (Wager.placed_at >= since, Wager.placed_at < until)
    placed = exists().where(Wager.customer_id == Customer.id, Wager.refusal.is_(None), *in_time)
    count = 0
    for first in range(0, len(customer_ids), _AT_A_TIME):
        some = Customer.id.in_(customer_ids[first : first + _AT_A_TIME])
        count += session.scalar(select(func.count()).select_from(Customer).where(some, placed)) or 0
    return count


def _balances(
    session: Session, customers: Collection[Customer], began: datetime | None, in_progress: Collection[int]
) -> dict[int, int]:
    wallets = {(wallet := chart.player(one.id, one.currency)).name: (one.id, wallet.currency) for one in customers}
    query = (
        select(Account.name, Account.currency, func.sum(Entry.amount))
        .join(Entry, Entry.account_id == Account.id)
        .join(Transaction, Transaction.id == Entry.transaction_id)
        .where(Account.name.in_(wallets))
        .where(or_(Transaction.recorded_at < began, Transaction.id.in_(in_progress)))
        .group_by(Account.name, Account.currency)
    )
    found = {}
    for name, currency, amount in session.execute(query):
        customer_id, own_currency = wallets[name]
        if currency == own_currency:
            found[customer_id] = -int(amount)
    return found


def _limits(
    session: Session, customers: Collection[Customer], ended: datetime | None
) -> defaultdict[int, list[PlayerLimit]]:
    query = select(PlayerLimit).where(
        PlayerLimit.customer_id.in_([one.id for one in customers]),
        PlayerLimit.status.in_([ACTIVE, REPLACED]),
        PlayerLimit.amount.is_not(None),
        func.coalesce(PlayerLimit.swapped_at, PlayerLimit.effective_at) <= ended,
        or_(PlayerLimit.ended_at.is_(None), PlayerLimit.ended_at > ended),
    )
    found = defaultdict(list)
    for limit in session.scalars(query.order_by(PlayerLimit.id)):
        found[limit.customer_id].append(limit)
    return found
