"""Passwords: kept as argon2 hashes, never as themselves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wallet_hooks.errors import RefusedError, TryAgainError

_hasher = PasswordHasher(parallelism=1)
# A hash costs 64 MiB and tens of milliseconds on purpose: a storm of logins must take neither the machine nor the
# threads that serve bets. Two are at work at a time, and a few may wait.
_places = threading.BoundedSemaphore(8)
_slots = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Raises RefusedError unless it has at least 8 characters, letters and digits among them (seeds/000).

    Raises TryAgainError where too many passwords are being worked on already.
    """
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= 1000 or not has_both:
        raise RefusedError("bad_password", "a password has at least 8 characters, letters and digits among them")
    with _turn():
        return _hasher.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether the password is the hashed one; None costs the same time, and is nobody's.

    Raises TryAgainError where too many passwords are being worked on already.
    """
    with _turn():
        try:
            return _hasher.verify(hashed or _nobodys_hash(), password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


@contextmanager
def _turn() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise TryAgainError("too many logins at once")
    try:
        with _slots:
            yield
    finally:
        _places.release()


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's password")
