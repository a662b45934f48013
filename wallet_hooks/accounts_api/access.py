"""Who calls an operation, and for which application: sessions, access tokens of web applications, application keys."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from werkzeug.datastructures import EnvironHeaders

from wallet_hooks.accounts_api.errors import INVALID_SESSION, AccountsError, UnknownCredentialError
from wallet_hooks.accounts_api.models import Application, ApplicationVersion
from wallet_hooks.accounts_api.subscriptions import check_subscribed
from wallet_hooks.accounts_api.web_apps import find_access_token
from wallet_hooks.customers.callers import caller_of, may_log_in, read_login
from wallet_hooks.customers.queries import customer_of_any_brand
from wallet_hooks.database import reading
from wallet_hooks.errors import SessionEndedError
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.brand_engines import engine_of_login
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.settings import Settings
from wallet_hooks.web.requests import bearer_token

Headers = EnvironHeaders


class Access(NamedTuple):
    """What an operation requires of its caller.

    `login`: a customer's login session, or with `token` an access token that the customer gave to the key's vendor.
    `key`: an active application key. `owner`: if there is a key, its application is the caller's. `subscription`: the
    caller has subscribed to the key's application, if that requires it.
    """

    login: bool = True
    key: bool = True
    owner: bool = False
    subscription: bool = False
    token: bool = False


CUSTOMER = Access(key=False)
CUSTOMER_WITH_KEY = Access(subscription=True)
READER_WITH_KEY = Access(subscription=True, token=True)
CLIENT = Access()
OWNER = Access(owner=True)
OWNER_OR_CLIENT = Access(key=False, owner=True)
VENDOR = Access(login=False)


class KeyFacts(NamedTuple):
    """An application key's version and application."""

    version_id: int
    application_id: int
    owner_id: int
    subscription_required: bool


class Identity(NamedTuple):
    """The caller of an operation; None where the operation does not ask for it, or an optional key is missing."""

    customer: Caller | None
    key: KeyFacts | None


def identify(engine: Engine, settings: Settings, headers: Headers, access: Access, *, now: datetime) -> Identity:
    """Return who calls. Raises AccountsError as docs/protocols/accounts.md says, for the session before the key."""
    session_token = headers.get("X-Authentication", "")
    token = bearer_token(headers) if access.token and not session_token else None
    idle, login, customer = settings.login_idle, None, None
    login_token = session_token if access.login and token is None else None
    with reading(engine if login_token is None else _engine_of_login(engine, login_token)) as session:
        if login_token is not None:
            customer, login = _read_login(session, login_token, now=now, idle=idle)
        key = _key(session, headers.get("X-Application", ""), access, is_token=token is not None)
        if token is not None and key is not None:
            customer = _token_customer(session, token, key, now=now)
        if key is not None and customer is not None:
            if access.owner and key.owner_id != customer.id:
                raise AccountsError("INVALID_APP_KEY", "the application key belongs to another developer")
            if access.subscription and key.subscription_required and key.owner_id != customer.id:
                check_subscribed(session, key.application_id, customer.id, now=now)
    if login is not None:
        login_sessions.touch(engine, login, now=now, idle=idle)
    return Identity(customer, key)


def _engine_of_login(engine: Engine, token: str) -> Engine:
    if not token:
        raise AccountsError("NO_SESSION", "a header X-Authentication with a session token is required")
    found = engine_of_login(engine, token)
    if found is None:
        raise _unknown_session()
    return found


def _read_login(session: Session, token: str, *, now: datetime, idle: timedelta) -> tuple[Caller, LoginSession]:
    try:
        found = read_login(session, token, now=now, idle=idle)
    except SessionEndedError:
        raise AccountsError(INVALID_SESSION, "the session has ended") from None
    if found is None:
        raise _unknown_session()
    return found


def _unknown_session() -> AccountsError:
    return UnknownCredentialError(INVALID_SESSION, "the session is unknown")


def _key(session: Session, key: str, access: Access, *, is_token: bool) -> KeyFacts | None:
    if not key:
        if access.key or is_token:
            raise AccountsError("NO_APP_KEY", "a header X-Application with an application key is required")
        return None
    if not (access.key or access.owner):
        return None
    found = find_key(session, key)
    if found is None:
        raise AccountsError("INVALID_APP_KEY", "the application key is unknown or not active")
    return found


def find_key(session: Session, key: str) -> KeyFacts | None:
    """Return the facts of an active application key; None for any other text."""
    if not key.isalnum() or not key.isascii():
        return None
    row = session.execute(
        select(ApplicationVersion.id, Application.id, Application.owner_id, Application.subscription_required)
        .join(Application, Application.id == ApplicationVersion.application_id)
        .where(ApplicationVersion.key == key, ApplicationVersion.active)
    ).one_or_none()
    return None if row is None else KeyFacts(*row)


def _token_customer(session: Session, token: str, key: KeyFacts, *, now: datetime) -> Caller:
    found = find_access_token(session, token, key.application_id, now=now)
    if found is None:
        raise UnknownCredentialError(INVALID_SESSION, "the access token is unknown")
    customer = customer_of_any_brand(session, found.customer_id)
    if not found.is_valid or customer is None or not may_log_in(customer, now=now):
        raise AccountsError(INVALID_SESSION, "the access token is expired or revoked")
    return caller_of(customer)
