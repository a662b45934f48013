"""Logging in. Unknown users and wrong passwords are answered alike; five failures lock the login."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, select
from sqlalchemy.orm import Session

from wallet_hooks.customers.callers import may_log_in
from wallet_hooks.customers.login_lock import admit, check_password
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.play_sessions import record_login
from wallet_hooks.customers.queries import lock_customer
from wallet_hooks.customers.usernames import folded, has_username
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.database.bulk import BulkStatement, RowSet, insert_from, unique_key
from wallet_hooks.database.writes import write
from wallet_hooks.errors import UnauthenticatedError
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.brand_engines import engine_of_username
from wallet_hooks.identity.models import UnknownLogin

_counted = RowSet("counted", UnknownLogin.day, UnknownLogin.failures)


def _add_failures(dialect: Any) -> Any:
    insert = insert_from(dialect, _counted, UnknownLogin)
    total = UnknownLogin.failures + insert.excluded.failures
    return insert.on_conflict_do_update(index_elements=unique_key(UnknownLogin), set_={"failures": total})


_COUNT_UNKNOWN: BulkStatement[Any] = BulkStatement(_counted, _add_failures)


def log_in(engine: Engine, *, username: str, password: str, source: str, now: datetime, idle: timedelta) -> str:
    """Begin a login and return its token.

    Raises UnauthenticatedError, the same for every reason, so that it does not reveal which usernames exist or whether
    a guessed password of a locked customer was right; TryAgainError when too many logins wait.
    """
    home = engine_of_username(engine, folded(username))
    if home is not None:
        found = _find(home, username)
    else:
        found = None
        engine_of_username(engine, folded(username))  # as many statements as for a known one
    checked = check_password(password, found.password_hash if found else None)
    with writing(home or engine) as session:
        token = None
        if found is None:
            count_unknown(session, now.date())
        else:
            customer = lock_customer(session, found.id)
            is_right = checked.is_right_for(customer)
            if admit(customer, is_right=is_right, is_permitted=may_log_in(customer, now=now), now=now):
                record_login(session, customer, now=now)
                token = login_sessions.start(session, customer_id=customer.id, source=source, now=now, idle=idle)
    if token is None:
        raise UnauthenticatedError("username or password is wrong, or the customer is inactive")
    return token


def _find(engine: Engine, username: str) -> Row[int, str | None] | None:
    """Return id and password hash of the customer with a username."""
    with reading(engine) as session:
        query = select(Customer.id, Customer.password_hash).where(has_username(username))
        return session.execute(query).one_or_none()


def count_unknown(session: Session, day: date) -> None:
    """Lock and write as much as for a known customer: the response time must not reveal which usernames exist."""
    session.execute(locked(select(UnknownLogin).where(UnknownLogin.day == day), UnknownLogin)).one_or_none()
    write(session.connection(), _COUNT_UNKNOWN([(day, 1)]))
