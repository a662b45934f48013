"""The lock of a login after wrong passwords: it stops new sessions for a while, and nothing else.

Open sessions and bets continue, so that an attacker who knows a username cannot stop a customer from betting.
`Customer.locked`, which a manager sets, stops those too.
"""

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from wallet_hooks.customers.models import Customer
from wallet_hooks.identity.passwords import is_password

MAX_FAILURES = 5
FIRST_LOCK = timedelta(minutes=15)
LONGEST_LOCK = timedelta(days=1)


class PasswordOwner(Protocol):
    """A row with a password: a customer, or a member of staff."""

    password_hash: str | None
    failed_logins: int
    login_locks: int
    login_locked_until: datetime | None


def is_login_locked(owner: PasswordOwner, *, now: datetime) -> bool:
    """Return whether wrong passwords lock the login at an instant (UTC)."""
    return owner.login_locked_until is not None and now < owner.login_locked_until


def count_failure(owner: PasswordOwner, *, now: datetime) -> None:
    """Count a login that failed; the fifth one locks the login, for twice as long each time until one succeeds.

    Failures during a lock do not extend it. The caller holds the row's lock.
    """
    if not is_login_locked(owner, now=now) and owner.login_locked_until is not None:
        owner.login_locked_until, owner.failed_logins = None, 0
    owner.failed_logins += 1
    # Without a password there is nothing to guess.
    is_guessable = owner.password_hash is not None
    if is_guessable and owner.login_locked_until is None and owner.failed_logins >= MAX_FAILURES:
        doublings = min(owner.login_locks, 10)
        owner.login_locked_until = now + min(FIRST_LOCK * 2**doublings, LONGEST_LOCK)
        owner.login_locks += 1


class CheckedPassword(NamedTuple):
    """Whether a password is right by a hash that was read before the owner's row was locked; None without an owner.

    Checking takes long, so it is done between two transactions.
    """

    hash: str | None
    is_right: bool

    def is_right_for(self, owner: PasswordOwner) -> bool:
        """Return whether it is right for the locked row: it is not if the password has changed meanwhile."""
        return self.is_right and owner.password_hash == self.hash


def check_password(password: str, hashed: str | None, *, is_staff: bool = False) -> CheckedPassword:
    """Check a password. Without a hash it is wrong, after the same time. Raises TryAgainError if too many wait."""
    return CheckedPassword(hashed, is_password(password, hashed, is_staff=is_staff))


def admit(owner: PasswordOwner, *, is_right: bool, is_permitted: bool, now: datetime) -> bool:
    """Count a failure, or accept a login. The caller holds the row's lock, so that parallel guesses are all counted.

    `is_right` says whether the password is right, `is_permitted` whether its owner may log in at all.
    """
    if not is_right or is_login_locked(owner, now=now):
        count_failure(owner, now=now)
        return False
    if is_permitted:
        unlock_login(owner)
    return is_permitted


def unlock_login(owner: PasswordOwner) -> None:
    """Reset the failures and their locks."""
    owner.failed_logins = owner.login_locks = 0
    owner.login_locked_until = None


def lock_reason(customer: Customer, *, now: datetime) -> str | None:
    """Return why a customer is shown as locked: `manager`, `failed_logins`, or None where it is not."""
    if customer.locked:
        return "manager"
    return "failed_logins" if is_login_locked(customer, now=now) else None
