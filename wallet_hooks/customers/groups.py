"""Groups of customers and their managers."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, Group, GroupManager
from wallet_hooks.customers.usernames import folded, has_username, unknown_customer
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.identity.models import Brand


def create_group(session: Session, *, brand_id: int, name: str, managers: Iterable[Customer], now: datetime) -> Group:
    """Create a group with a GroupName. Raises ConflictError where it is taken, RefusedError for a bad manager."""
    if session.scalar(select(Group.id).where(Group.brand_id == brand_id, Group.name == name)) is not None:
        raise ConflictError(f"a group {name!r} exists already")
    group = Group(brand_id=brand_id, name=name, created_at=now)
    session.add(group)
    session.flush()
    for manager in managers:
        add_manager(session, group, manager)
    return group


def add_manager(session: Session, group: Group, customer: Customer) -> None:
    """Let a customer of the same brand manage the group; repeating it changes nothing.

    Raises RefusedError for another brand's customer.
    """
    if customer.brand_id != group.brand_id:
        raise RefusedError("other_brand", "a manager must be a customer of the group's brand")
    session.merge(GroupManager(group_id=group.id, customer_id=customer.id))
    session.flush()


def remove_manager(session: Session, group: Group, username: str) -> None:
    """Remove a manager. Raises NotFoundError where this is no manager of the group, RefusedError for the last one."""
    session.execute(select(Group.id).where(Group.id == group.id).with_for_update())
    managers = [folded(manager) for manager in managers_of(session, group)]
    if folded(username) not in managers:
        raise NotFoundError(f"no manager {username!r} of this group")
    if len(managers) == 1:
        raise RefusedError("last_manager", "the last manager of a group cannot be removed")
    customer = customer_by_username(session, username)
    own = (GroupManager.group_id == group.id, GroupManager.customer_id == customer.id)
    session.execute(delete(GroupManager).where(*own))


def managers_of(session: Session, group: Group) -> list[str]:
    """Return the usernames of a group's managers."""
    query = select(Customer.username).join(GroupManager, GroupManager.customer_id == Customer.id)
    return list(session.scalars(query.where(GroupManager.group_id == group.id).order_by(Customer.username)))


def managers_among(session: Session, customers: Iterable[Customer]) -> set[int]:
    """Return the ids of those customers that manage a group."""
    ids = [customer.id for customer in customers]
    return set(session.scalars(select(GroupManager.customer_id).where(GroupManager.customer_id.in_(ids))))


def group_by_name(session: Session, *, brand: Brand, name: str) -> Group:
    """Return a brand's group. Raises NotFoundError."""
    group = session.scalar(select(Group).where(Group.brand_id == brand.id, Group.name == name))
    if group is None:
        raise NotFoundError(f"no group {name!r} of brand {brand.client!r}")
    return group


def customer_by_username(session: Session, username: str) -> Customer:
    """Return the customer of a username, in any case. Raises NotFoundError."""
    customer = session.scalar(select(Customer).where(has_username(username)))
    if customer is None:
        raise unknown_customer(username)
    return customer
