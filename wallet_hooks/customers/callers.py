"""Who calls, and whom a caller may see and change.

A caller sees itself and the customers of groups that it manages, and changes those of the groups. Whom it may not see
does not exist for it.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Engine, Select, exists, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, Group, GroupManager
from wallet_hooks.customers.usernames import folded, has_username
from wallet_hooks.database import locked, reading
from wallet_hooks.errors import ForbiddenError, NotFoundError
from wallet_hooks.identity import sessions
from wallet_hooks.identity.models import LoginSession


class Caller(NamedTuple):
    """A customer with a session."""

    id: int
    brand_id: int
    username: str
    roles: frozenset[str]


def authenticate(
    engine: Engine, token: str, *, now: datetime, idle: timedelta
) -> tuple[Caller, LoginSession] | tuple[None, None]:
    """Whose session it is; nobody's where it ran out, or where its customer may not log in any more.

    That the session is in use is remembered.
    """
    with reading(engine) as session:
        found = sessions.find(session, token, now=now, idle=idle)
        customer = session.get(Customer, found.customer_id) if found else None
    if found is None or customer is None or not may_log_in(customer, now=now):
        return None, None
    found.used_at = sessions.touch(engine, found, now=now, idle=idle)
    return Caller(customer.id, customer.brand_id, customer.username, frozenset(customer.roles)), found


def may_log_in(customer: Customer, *, now: datetime) -> bool:
    return customer.active and not customer.locked and (customer.expires_at is None or customer.expires_at > now)


def known_customer(session: Session, caller: Caller, username: str) -> Customer:
    """A customer whom the caller may see. Raises NotFoundError for any other, there or not."""
    is_known = or_(Customer.id == caller.id, _managed_by(caller))
    return _one(session, select(Customer).where(is_known, has_username(username)), username)


def managed_customer(session: Session, caller: Caller, username: str, *, lock: bool = False) -> Customer:
    """A customer whom the caller may change.

    Raises NotFoundError for one whom it may not see, ForbiddenError for itself, and for one who manages what the
    caller does not: nobody raises his own limits, or gets by another manager's password where he may not go himself.
    """
    if folded(username) == folded(caller.username):
        raise ForbiddenError("this is for another manager of the customer's group")
    query = select(Customer).where(_managed_by(caller), has_username(username))
    if lock:
        query = locked(query, Customer)
    customer = _one(session, query, username)
    theirs = set(managed_groups(session, customer.id))
    if not theirs <= set(managed_groups(session, caller.id)):
        raise ForbiddenError("the customer manages groups that you do not")
    return customer


def managed_groups(session: Session, customer_id: int) -> list[int]:
    """The ids of the groups that somebody manages."""
    return list(session.scalars(select(GroupManager.group_id).where(GroupManager.customer_id == customer_id)))


def managed_group(session: Session, caller: Caller, group_id: int) -> Group:
    """A group that the caller manages. Raises ForbiddenError for any other, there or not."""
    query = select(Group).join(GroupManager, GroupManager.group_id == Group.id)
    group = session.scalar(query.where(Group.id == group_id, GroupManager.customer_id == caller.id))
    if group is None:
        raise ForbiddenError("you do not manage this group")
    return group


def manages(session: Session, caller: Caller, group_id: int | None) -> bool:
    """Whether the caller manages this group."""
    own = exists().where(GroupManager.customer_id == caller.id, GroupManager.group_id == group_id)
    return bool(session.scalar(select(own)))


def manages_any_group(session: Session, caller: Caller) -> bool:
    return bool(session.scalar(select(exists().where(GroupManager.customer_id == caller.id))))


def _managed_by(caller: Caller) -> ColumnElement[bool]:
    managed = select(GroupManager.group_id).where(GroupManager.customer_id == caller.id)
    return Customer.group_id.in_(managed)


def _one(session: Session, query: Select[Customer], username: str) -> Customer:
    customer = session.scalar(query)
    if customer is None:
        raise NotFoundError(f"no customer {username!r}")
    return customer
