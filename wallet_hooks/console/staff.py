"""Members of staff: their accounts, sign-in and sessions."""

from datetime import datetime, timedelta
from typing import NamedTuple

import pyotp
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from wallet_hooks.console import audit
from wallet_hooks.console.models import Staff, StaffSession
from wallet_hooks.customers.login import count_unknown
from wallet_hooks.customers.login_lock import admit, check_password, is_login_locked
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.errors import ConflictError, NotFoundError, SessionEndedError, UnauthenticatedError
from wallet_hooks.identity.tokens import is_idle, new_token, record_use, token_hash
from wallet_hooks.web.api import ApiRequest

ROLES = ("finance", "operations", "qa")
LONGEST_SESSION = timedelta(hours=12)
_CODE_SECONDS = 30
_ISSUER = "wallet-hooks"


class Member(NamedTuple):
    """A signed-in member of staff."""

    id: int
    username: str
    role: str


def add(session: Session, *, username: str, role: str, password_hash: str, now: datetime) -> Staff:
    """Add a member of staff with one of `ROLES`. Raises ConflictError for a username that is in use."""
    if session.scalar(select(Staff.id).where(Staff.username == username)) is not None:
        raise ConflictError(f"username {username!r} is in use")
    made = Staff(
        username=username,
        role=role,
        password_hash=password_hash,
        active=True,
        created_at=now,
        failed_logins=0,
        login_locks=0,
    )
    session.add(made)
    session.flush()
    return made


def by_username(session: Session, username: str) -> Staff:
    """Return a member of staff, locked. Raises NotFoundError."""
    found = session.scalar(locked(select(Staff).where(Staff.username == username), Staff))
    if found is None:
        raise NotFoundError(f"no member of staff {username!r}")
    return found


def require_code(member: Staff) -> str:
    """Require one-time codes of a member of staff from now on; return the address that sets up an authenticator."""
    member.totp_secret, member.totp_step = pyotp.random_base32(), None
    return pyotp.TOTP(member.totp_secret).provisioning_uri(name=member.username, issuer_name=_ISSUER)


def end_logins(session: Session, staff_id: int) -> None:
    """End every login of a member of staff."""
    session.execute(delete(StaffSession).where(StaffSession.staff_id == staff_id))


def sign_in(engine: Engine, *, username: str, password: str, code: str, request: ApiRequest) -> str:
    """Begin a session and return its token.

    Raises UnauthenticatedError, the same for every reason, so that it reveals neither usernames nor whether a guessed
    password was right; TryAgainError when too many logins wait.
    """
    with reading(engine) as session:
        found = session.execute(select(Staff.id, Staff.password_hash).where(Staff.username == username)).one_or_none()
    checked = check_password(password, found.password_hash if found else None, is_staff=True)
    token = None
    with writing(engine) as session:
        if found is None:
            count_unknown(session, request.now.date())
        else:
            member = session.scalars(locked(select(Staff).where(Staff.id == found.id), Staff)).one()
            was_locked = is_login_locked(member, now=request.now)
            is_right = checked.is_right_for(member) and not was_locked and _is_code(member, code, now=request.now)
            if admit(member, is_right=is_right, is_permitted=member.active, now=request.now):
                token = _start(session, member, now=request.now)
            if token or not was_locked:  # guesses during a lock would fill the trail
                action = "sign_in" if token else "sign_in_refused"
                audit.record(session, action, username, {}, by=username, request=request)
    if token is None:
        raise UnauthenticatedError(
            "Username, password or code is wrong, or the member of staff is inactive or locked for a while."
        )
    return token


def find_member(engine: Engine, token: str, *, now: datetime, idle: timedelta) -> Member:
    """Return the member of staff with this session, and record its use.

    Raises UnauthenticatedError if there is none, or it was idle for too long.
    """
    own = StaffSession.token_hash == token_hash(token)
    query = select(Staff, StaffSession).join(StaffSession, StaffSession.staff_id == Staff.id)
    with reading(engine) as session:
        row = session.execute(query.where(own)).one_or_none()
    if row is None:
        raise UnauthenticatedError("not signed in")
    member, login = row
    is_over = is_idle(login.used_at, now=now, idle=idle) or now - login.created_at >= LONGEST_SESSION
    if is_over or not member.active:
        raise SessionEndedError("the session has ended")
    record_use(engine, StaffSession, own, login.used_at, now=now, idle=idle)
    return Member(member.id, member.username, member.role)


def sign_out(session: Session, token: str) -> None:
    """End the login of a token."""
    session.execute(delete(StaffSession).where(StaffSession.token_hash == token_hash(token)))


def _is_code(member: Staff, code: str, *, now: datetime) -> bool:
    """Return whether a one-time code is right, which is then used up; True where none is required.

    The code before and the one after are accepted too, because clocks differ.
    """
    if member.totp_secret is None:
        return True
    current = int(now.timestamp()) // _CODE_SECONDS
    totp = pyotp.TOTP(member.totp_secret)
    for step in (current - 1, current, current + 1):
        is_unused = member.totp_step is None or step > member.totp_step
        if is_unused and pyotp.utils.strings_equal(totp.at(step * _CODE_SECONDS), code):
            member.totp_step = step
            return True
    return False


def _start(session: Session, member: Staff, *, now: datetime) -> str:
    """Start a session; the member's sessions that are too old to be used are deleted."""
    too_old = StaffSession.created_at <= now - LONGEST_SESSION
    session.execute(delete(StaffSession).where(StaffSession.staff_id == member.id, too_old))
    token = new_token()
    session.add(StaffSession(token_hash=token_hash(token), staff_id=member.id, created_at=now, used_at=now))
    return token
