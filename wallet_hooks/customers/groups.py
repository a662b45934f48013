"""Groups of customers, and who manages them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, Group, GroupManager
from wallet_hooks.customers.usernames import folded, has_username
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.identity.models import Brand


def create_group(session: Session, *, brand_id: int, name: str, managers: Iterable[Customer], now: datetime) -> Group:
    """Raises ConflictError where the brand has a group of this name, RefusedError for a bad name or manager."""
    if not 0 < len(name) <= 64 or not name.isprintable():
        raise RefusedError("bad_name", "a group's name has 1 to 64 printable characters")
    if session.scalar(select(Group.id).where(Group.brand_id == brand_id, Group.name == name)) is not None:
        raise ConflictError(f"a group {name!r} exists already")
    group = Group(brand_id=brand_id, name=name, created_at=now)
    session.add(group)
    session.flush()
    for manager in managers:
        add_manager(session, group, manager)
    return group


def add_manager(session: Session, group: Group, customer: Customer) -> None:
    """Let a customer of the same brand manage the group; once is enough. Raises RefusedError for another brand's."""
    if customer.brand_id != group.brand_id:
        raise RefusedError("other_brand", "a manager is a customer of the group's brand")
    session.merge(GroupManager(group_id=group.id, customer_id=customer.id))
    session.flush()


def remove_manager(session: Session, group: Group, username: str) -> None:
    """Take a group from a manager. Raises NotFoundError where nobody of this name manages it, RefusedError where
    nobody would be left to."""
    session.execute(select(Group.id).where(Group.id == group.id).with_for_update())
    managers = [folded(manager) for manager in managers_of(session, group)]
    if folded(username) not in managers:
        raise NotFoundError(f"no manager {username!r} of this group")
    if len(managers) == 1:
        raise RefusedError("last_manager", "a group keeps one manager")
    customer = customer_by_username(session, username)
    own = (GroupManager.group_id == group.id, GroupManager.customer_id == customer.id)
    session.execute(delete(GroupManager).where(*own))


def managers_of(session: Session, group: Group) -> list[str]:
    """The usernames of a group's managers."""
    query = select(Customer.username).join(GroupManager, GroupManager.customer_id == Customer.id)
    return list(session.scalars(query.where(GroupManager.group_id == group.id).order_by(Customer.username)))


def managers_among(session: Session, customers: Iterable[Customer]) -> set[int]:
    """The ids of those who manage a group."""
    ids = [customer.id for customer in customers]
    return set(session.scalars(select(GroupManager.customer_id).where(GroupManager.customer_id.in_(ids))))


def group_by_name(session: Session, *, brand: Brand, name: str) -> Group:
    """Raises NotFoundError."""
    group = session.scalar(select(Group).where(Group.brand_id == brand.id, Group.name == name))
    if group is None:
        raise NotFoundError(f"no group {name!r} of brand {brand.client!r}")
    return group


def customer_by_username(session: Session, username: str) -> Customer:
    """The customer of a username, in whatever case. Raises NotFoundError."""
    customer = session.scalar(select(Customer).where(has_username(username)))
    if customer is None:
        raise NotFoundError(f"no customer {username!r}")
    return customer
