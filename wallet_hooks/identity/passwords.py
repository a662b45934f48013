"""Password hashing with argon2. Passwords are never stored."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wallet_hooks.errors import RefusedError, TryAgainError

_hasher = PasswordHasher(parallelism=1)
# A hash takes 64 MiB and tens of milliseconds by design: many logins at once must exhaust neither memory nor the
# threads that serve bets. Two hashes run at a time, six more may wait.
_admitted = threading.BoundedSemaphore(8)
_running = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Return the password's hash. Raises RefusedError unless it meets the rules of docs/protocols/customers.md.

    Raises TryAgainError if too many passwords are being hashed already.
    """
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= 1000 or not has_both:
        raise RefusedError(
            "bad_password", "password: 8 to 1000 characters, with at least one letter and one digit, are expected"
        )
    with _limited_concurrency():
        return _hasher.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Return whether the password has this hash. For None it is False, after the same time as for a hash.

    Raises TryAgainError if too many passwords are being hashed already.
    """
    with _limited_concurrency():
        try:
            return _hasher.verify(hashed or _dummy_hash(), password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


@contextmanager
def _limited_concurrency() -> Iterator[None]:
    if not _admitted.acquire(blocking=False):
        raise TryAgainError("too many logins at the same time: try again later")
    try:
        with _running:
            yield
    finally:
        _admitted.release()


@cache
def _dummy_hash() -> str:
    return _hasher.hash("dummy password")
