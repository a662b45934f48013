"""Login sessions: random tokens, returned once and stored as hashes."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from wallet_hooks.errors import SessionEndedError, SessionExpiredError
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.identity.policy import MAX_SESSION_GAP
from wallet_hooks.identity.tokens import is_idle, new_token, record_use, token_hash


class Caller(NamedTuple):
    """A customer with a login session."""

    id: int
    brand_id: int
    username: str
    roles: frozenset[str]


def start(session: Session, *, customer_id: int, source: str, now: datetime, idle: timedelta) -> str:
    """Start a login session and return its token. The customer's sessions too old to affect a login are deleted."""
    too_old = LoginSession.used_at <= now - max(idle, MAX_SESSION_GAP)
    session.execute(delete(LoginSession).where(LoginSession.customer_id == customer_id, too_old))
    token = new_token()
    session.add(
        LoginSession(token_hash=token_hash(token), customer_id=customer_id, created_at=now, used_at=now, source=source)
    )
    return token


def find(session: Session, token: str, *, now: datetime, idle: timedelta) -> LoginSession | None:
    """Return the session of a token; None if it is unknown.

    Raises SessionEndedError if it was ended, SessionExpiredError if it was idle too long.
    """
    found = session.get(LoginSession, token_hash(token))
    if found is None:
        return None
    if found.ended:
        raise SessionEndedError("the session has ended")
    if is_idle(found.used_at, now=now, idle=idle):
        raise SessionExpiredError("the session has expired")
    return found


def last_use(session: Session, *, customer_id: int) -> datetime | None:
    """Return when a customer last used a session, ended ones included. Precise to a minute (see `record_use`)."""
    return session.scalar(select(func.max(LoginSession.used_at)).where(LoginSession.customer_id == customer_id))


def touch(engine: Engine, found: LoginSession, *, now: datetime, idle: timedelta) -> datetime:
    """Record the use of a session, and return the recorded time."""
    own = LoginSession.token_hash == found.token_hash
    return record_use(engine, LoginSession, own, found.used_at, now=now, idle=idle)


def end(session: Session, token: str, *, now: datetime) -> None:
    """End a session. Ending counts as its last use."""
    own = LoginSession.token_hash == token_hash(token)
    session.execute(update(LoginSession).where(own).values(ended=True, used_at=now))


def end_all(session: Session, *, customer_id: int) -> None:
    """End every session of a customer."""
    session.execute(update(LoginSession).where(LoginSession.customer_id == customer_id).values(ended=True))
