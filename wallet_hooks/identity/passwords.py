"""Passwords: kept as argon2 hashes, never as themselves."""

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wallet_hooks.errors import RefusedError, TryAgainError

_hasher = PasswordHasher()
# A hash costs 64 MiB and tens of milliseconds on purpose: a storm of logins must not take the machine with it.
_slots = threading.BoundedSemaphore(4)
_PATIENCE = 2.0  # seconds


def hash_password(password: str) -> str:
    """Raises RefusedError unless it has at least 8 characters, letters and digits among them (seeds/000)."""
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= 1000 or not has_both:
        raise RefusedError("bad_password", "a password has at least 8 characters, letters and digits among them")
    return _hasher.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Whether the password is the hashed one; None costs the same time, and is nobody's.

    Raises TryAgainError where too many passwords are being checked already.
    """
    if not _slots.acquire(timeout=_PATIENCE):
        raise TryAgainError("too many logins at once")
    try:
        return _hasher.verify(hashed or _nobodys_hash(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _slots.release()


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody's password")
