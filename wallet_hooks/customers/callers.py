"""Authentication of customers, and which customers a caller may see and change.

A caller sees itself and the customers of the groups that it manages, and may change the latter (of those that manage
groups themselves, not everything: `permitted_changes`). A customer that it may not see is answered as if it did not
exist.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Select, exists, or_, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer, Group, GroupManager
from wallet_hooks.customers.refusals import AccountFacts, account_refusal
from wallet_hooks.customers.usernames import folded, has_username, unknown_customer
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.errors import ForbiddenError, SessionEndedError, SessionExpiredError, UnauthenticatedError
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.brand_engines import engine_of_login
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.identity.models import LoginSession


def find_login(
    engine: Engine, token: str, *, now: datetime, idle: timedelta, otherwise: str
) -> tuple[Caller, LoginSession]:
    """Return the caller and the login session of a token, and record its use.

    Raises UnauthenticatedError where the session is unknown, SessionEndedError where it was ended or its customer may
    not log in any more, both with the message `otherwise`; SessionExpiredError where it was idle for too long.
    """
    own = engine_of_login(engine, token)
    if own is None:
        raise UnauthenticatedError(otherwise)
    try:
        with reading(own) as session:
            found = read_login(session, token, now=now, idle=idle)
    except SessionExpiredError:
        raise
    except SessionEndedError:
        raise SessionEndedError(otherwise) from None
    if found is None:
        raise UnauthenticatedError(otherwise)
    caller, login = found
    login.used_at = login_sessions.touch(engine, login, now=now, idle=idle)
    return caller, login


def read_login(session: Session, token: str, *, now: datetime, idle: timedelta) -> tuple[Caller, LoginSession] | None:
    """As `find_login`, in a given database transaction and without recording the use; None for an unknown login."""
    login = login_sessions.find(session, token, now=now, idle=idle)
    if login is None:
        return None
    customer = session.get(Customer, login.customer_id)
    if customer is None or not may_log_in(customer, now=now):
        raise SessionEndedError("the session's customer may not log in")
    return caller_of(customer), login


def end_login(engine: Engine, token: str, *, now: datetime, idle: timedelta, otherwise: str) -> None:
    """End the login session of a token, also of a customer who may not log in any more.

    Raises UnauthenticatedError with the message `otherwise` where the session is unknown, SessionEndedError where it
    was ended or idle for too long.
    """
    with writing(engine) as session:
        if login_sessions.find(session, token, now=now, idle=idle) is None:
            raise UnauthenticatedError(otherwise)
        login_sessions.end(session, token, now=now)


def caller_of(customer: Customer) -> Caller:
    """Return a customer as a caller."""
    return Caller(customer.id, customer.brand_id, customer.username, frozenset(customer.roles))


def may_log_in(customer: AccountFacts, *, now: datetime) -> bool:
    return account_refusal(customer, now=now) is None


def known_customer(session: Session, caller: Caller, username: str) -> Customer:
    """Return a customer that the caller may see. Raises NotFoundError for any other, whether it exists or not."""
    is_known = or_(Customer.id == caller.id, _managed_by(caller))
    return _one(session, select(Customer).where(is_known, has_username(username)), username)


def managed_customer(session: Session, caller: Caller, username: str, *, lock: bool = False) -> Customer:
    """Return a customer of a group that the caller manages; `permitted_changes` says what the caller may change of it.

    Raises NotFoundError for one that it may not see, and ForbiddenError for the caller itself: nobody raises their own
    limits, or pays themselves.
    """
    if folded(username) == folded(caller.username):
        raise ForbiddenError("only another manager of the customer's group may change this")
    query = select(Customer).where(_managed_by(caller), has_username(username))
    if lock:
        query = locked(query, Customer)
    return _one(session, query, username)


def managed_groups(session: Session, customer_id: int) -> list[int]:
    """Return the ids of the groups that a customer manages."""
    return list(session.scalars(select(GroupManager.group_id).where(GroupManager.customer_id == customer_id)))


def managed_group(session: Session, caller: Caller, group_id: int) -> Group:
    """Return a group that the caller manages. Raises ForbiddenError for any other, whether it exists or not."""
    query = select(Group).join(GroupManager, GroupManager.group_id == Group.id)
    group = session.scalar(query.where(Group.id == group_id, GroupManager.customer_id == caller.id))
    if group is None:
        raise ForbiddenError("you do not manage this group")
    return group


def manages(session: Session, caller: Caller, group_id: int | None) -> bool:
    """Return whether the caller manages this group."""
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
        raise unknown_customer(username)
    return customer
