"""Reading customers."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.database import RowStatement, for_update
from wallet_hooks.errors import NotFoundError
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import balances_of

# Rows are locked in id order, so that no two groups wait for each other; what they hold is read after the lock.
LOCK_CUSTOMERS = RowStatement(
    "SELECT c.id, c.brand_id, c.uid, c.currency, c.credit_limit, c.max_stake_per_event, c.active, c.locked,"
    " c.expires_at, c.roles FROM {asked} JOIN customer c ON c.brand_id = asked.brand_id AND c.uid = asked.uid"
    " ORDER BY c.id {lock}",
    asked={"brand_id": "bigint", "uid": "text"},
    lock=for_update("c"),
)
ACCOUNTS_OF_CUSTOMERS = RowStatement(
    "SELECT a.id, a.holder_id, a.name, a.currency, a.balance, a.version"
    " FROM {asked} JOIN customer c ON c.brand_id = asked.brand_id AND c.uid = asked.uid"
    " JOIN ledger_account a ON a.holder_id = c.id",
    asked={"brand_id": "bigint", "uid": "text"},
)


class CustomerFacts(NamedTuple):
    """What decides whether a customer may bet. Limits in minor units of `currency`."""

    id: int
    brand_id: int
    uid: str
    currency: str
    credit_limit: int
    max_stake_per_event: int | None
    active: bool
    locked: bool
    expires_at: datetime | None
    roles: frozenset[str]


def customer_facts(rows: Iterable[Sequence[Any]]) -> dict[tuple[int, str], CustomerFacts]:
    """Rows of LOCK_CUSTOMERS by (brand id, uid)."""
    return {
        (brand_id, uid): CustomerFacts(
            id_,
            brand_id,
            uid,
            currency,
            int(credit_limit),
            None if max_stake is None else int(max_stake),
            bool(active),
            bool(locked),
            _instant(expires_at),
            _roles(roles),
        )
        for id_, brand_id, uid, currency, credit_limit, max_stake, active, locked, expires_at, roles in rows
    }


def _instant(value: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value


_known_roles: dict[str, frozenset[str]] = {}


def _roles(text: str) -> frozenset[str]:
    if text not in _known_roles:
        _known_roles[text] = frozenset(text.split(","))
    return _known_roles[text]


def customer_by_uid(session: Session, *, client: str, uid: str, lock: bool = False) -> tuple[Customer, Brand]:
    """A customer and its brand, by the names that a provider uses. Raises NotFoundError."""
    query = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id)
    query = query.where(Brand.client == client, Customer.uid == uid)
    if lock:
        query = query.with_for_update(of=Customer, key_share=True).execution_options(populate_existing=True)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"no customer {uid!r} of brand {client!r}")
    return row[0], row[1]


class Standing(NamedTuple):
    """A customer's money, in minor units of its currency. `open_stakes_abroad` has the stakes in other currencies."""

    balance: int
    available: int
    open_stakes: int
    open_stakes_abroad: dict[str, int]


def standings(session: Session, customers: Sequence[Customer]) -> dict[int, Standing]:
    """The customers' money by customer id."""
    balances = balances_of(session, holder_ids=[customer.id for customer in customers])
    abroad: dict[int, dict[str, int]] = {customer.id: {} for customer in customers}
    home = {customer.id: customer.currency for customer in customers}
    for (name, currency, _), balance in balances.items():
        _, holder, purpose = name.split(":")
        if purpose == chart.OPEN_STAKES and currency != home[int(holder)] and balance:
            abroad[int(holder)][currency] = -balance
    found = {}
    for customer in customers:
        balance = -balances.get(chart.player(customer.id, customer.currency), 0)
        staked = -balances.get(chart.open_stakes(customer.id, customer.currency), 0)
        found[customer.id] = Standing(balance, balance + customer.credit_limit, staked, abroad[customer.id])
    return found
