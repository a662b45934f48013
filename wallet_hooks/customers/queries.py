"""Read customers."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.callers import managed_groups
from wallet_hooks.customers.commission import Schedule
from wallet_hooks.customers.models import Customer, Group, GroupManager
from wallet_hooks.database import locked
from wallet_hooks.database.bulk import BulkStatement, RowSet, find_rows, select_rows
from wallet_hooks.errors import NotFoundError
from wallet_hooks.identity.brand_engines import seeing_customer
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.models import Account
from wallet_hooks.ledger.queries import HELD_COLUMNS, HeldAccountRow, balances_of
from wallet_hooks.web.fields import UNWANTED


class CustomerFacts(NamedTuple):
    """The columns of a customer that decide whether it may bet. Limits in minor units of `currency`."""

    id: int
    brand_id: int
    uid: str
    currency: str
    credit_limit: int
    max_stake_per_event: int | None
    active: bool
    locked: bool
    expires_at: datetime | None
    roles: Collection[str]
    commission_rates: Schedule = ()
    limited: bool = False


class CustomerName(NamedTuple):
    """The columns that name a customer at its providers."""

    brand_id: int
    uid: str


_users = RowSet("requested", Customer.brand_id, Customer.uid)
_is_user = _users.matches(Customer)


def _lock_customers(*, skip_locked: bool) -> BulkStatement[CustomerFacts]:
    """Rows are locked in id order, so that two groups cannot deadlock; balances are read after the lock."""
    return BulkStatement(
        _users,
        lambda _: (
            select_rows(_users, Customer, CustomerFacts)
            .order_by(Customer.id)
            .with_for_update(of=Customer, key_share=True, skip_locked=skip_locked)
        ),
        row=CustomerFacts,
    )


LOCK_CUSTOMERS = _lock_customers(skip_locked=False)
# Leaves out those that another transaction has locked.
LOCK_FREE_CUSTOMERS = _lock_customers(skip_locked=True)
KNOWN_CUSTOMERS = find_rows(_users, Customer, CustomerName)
ACCOUNTS_OF_CUSTOMERS = BulkStatement(
    _users,
    lambda _: select(*HELD_COLUMNS).select_from(
        _users.join(Customer, _is_user).join(Account, Account.holder_id == Customer.id)
    ),
    row=HeldAccountRow,
)


def facts_of(customer: Customer) -> CustomerFacts:
    """Return the facts of a customer that was read as a model."""
    return CustomerFacts(*(getattr(customer, name) for name in CustomerFacts._fields))


def customer_by_uid(session: Session, *, client: str, uid: str, lock: bool = False) -> tuple[Customer, Brand]:
    """Return a customer and its brand by their ids at the providers. Raises NotFoundError."""
    if UNWANTED.search(client + uid):
        raise NotFoundError("no customer: brand or uid has control characters")
    query = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id)
    query = query.where(Brand.client == client, Customer.uid == uid)
    if lock:
        query = locked(query, Customer)
    row = session.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"no customer {uid!r} of brand {client!r}")
    return row[0], row[1]


def customer_of_any_brand(session: Session, customer_id: int) -> Customer | None:
    """Return a customer, for a session without a brand; None for one whom a restored brand does not have any more."""
    with seeing_customer(session, customer_id) as has_brand:
        return session.get(Customer, customer_id) if has_brand else None


def lock_customer(session: Session, customer_id: int) -> Customer:
    """Lock a customer that exists, and return it as it is then."""
    return session.scalars(locked(select(Customer).where(Customer.id == customer_id), Customer)).one()


class Listing(NamedTuple):
    """Which customers to list, of those that the caller may see: all where `ids` is None, from `after` on."""

    caller: Caller
    with_inactive: bool
    ids: Sequence[int] | None
    after: int


def customer_pages(session: Session, wanted: Listing, *, batch: int) -> Iterator[list[Customer]]:
    """Yield the customers in id order, in batches; every batch costs the same."""
    # Group ids as values instead of a subquery, so that both sides of the `or` use an index.
    group_ids = managed_groups(session, wanted.caller.id)
    mine = Customer.id == wanted.caller.id
    own = or_(mine, Customer.group_id.in_(group_ids)) if group_ids else mine
    query = select(Customer).where(own).order_by(Customer.id).limit(batch)
    if not wanted.with_inactive:
        query = query.where(Customer.active)
    if wanted.ids is not None:
        query = query.where(Customer.id.in_(wanted.ids))
    after = wanted.after
    while customers := list(session.scalars(query.where(Customer.id > after))):
        after = customers[-1].id
        yield customers


class GroupTotals(NamedTuple):
    """Balances and credit limits of a group's customers, in minor units by currency."""

    customers: int
    balances: dict[str, int]
    credit_limits: dict[str, int]


def group_totals(session: Session, *, manager_id: int) -> Iterator[tuple[Group, str, GroupTotals]]:
    """Yield the groups that a customer manages, each with its brand's currency and totals."""
    own = select(Group, Brand.currency).join(Brand, Brand.id == Group.brand_id)
    own = own.join(GroupManager, GroupManager.group_id == Group.id).where(GroupManager.customer_id == manager_id)
    for group, currency in session.execute(own.order_by(Group.id)):
        limits = select(Customer.currency, Customer.credit_limit, func.count()).where(Customer.group_id == group.id)
        balances = select(Account.currency, func.sum(Account.balance)).join(Customer, Customer.id == Account.holder_id)
        wallet = chart.player_name(Customer.id)
        balances = balances.where(Customer.group_id == group.id, Account.name == wallet)
        sums = session.execute(balances.group_by(Account.currency))
        totals = GroupTotals(0, {code: -int(balance or 0) for code, balance in sums}, {})
        # Summed in Python: SQLite would add amounts of this size as floats.
        for code, limit, count in session.execute(limits.group_by(Customer.currency, Customer.credit_limit)):
            totals.credit_limits[code] = totals.credit_limits.get(code, 0) + limit * count
            totals = totals._replace(customers=totals.customers + count)
        yield group, currency, totals


# Balances are BIGINT columns: a credit limit or a payout must not take one out of that range.
MAX_BALANCE = 2**62


class CustomerBalances(NamedTuple):
    """A customer's money, in minor units of its currency. `open_stakes_abroad`: stakes in other currencies."""

    balance: int
    available: int
    open_stakes: int
    open_stakes_abroad: dict[str, int]
    second_wallet: int


def balances_of_customers(session: Session, customers: Sequence[Customer]) -> dict[int, CustomerBalances]:
    """Return the customers' money by customer id."""
    balances = balances_of(session, holder_ids=[customer.id for customer in customers])
    abroad: dict[int, dict[str, int]] = {customer.id: {} for customer in customers}
    home = {customer.id: customer.currency for customer in customers}
    for account, balance in balances.items():
        holder = account.holder_id
        if holder is not None and balance and account.currency != home[holder] and chart.is_open_stakes(account):
            abroad[holder][account.currency] = -balance
    found = {}
    for customer in customers:
        balance = -balances.get(chart.player(customer.id, customer.currency), 0)
        staked = -balances.get(chart.open_stakes(customer.id, customer.currency), 0)
        second = -balances.get(chart.player(customer.id, customer.currency, chart.SECOND_WALLET), 0)
        available = balance + customer.credit_limit
        found[customer.id] = CustomerBalances(balance, available, staked, abroad[customer.id], second)
    return found
