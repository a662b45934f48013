"""Password hashing with argon2. Passwords are never stored."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wallet_hooks.errors import RefusedError
from wallet_hooks.web.concurrency import ConcurrencyLimit

_hasher = PasswordHasher(parallelism=1)
# A hash takes 64 MiB and tens of milliseconds by design: many concurrent logins must exhaust neither memory nor the
# threads that serve bets. Two hashes run at a time, six more may wait.
_limit = ConcurrencyLimit("logins", running=2, admitted=8)


def hash_password(password: str) -> str:
    """Return the password's hash. Raises RefusedError unless it meets the rules of docs/protocols/customers.md.

    Raises TryAgainError if too many passwords are being hashed already.
    """
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= 1000 or not has_both:
        raise RefusedError(
            "bad_password", "password: 8 to 1000 characters, with at least one letter and one digit, are expected"
        )
    with _limit.slot():
        return _hasher.hash(password)


def is_password(password: str, hashed: str | None) -> bool:
    """Return whether the password has this hash. For None it is False, after the same time as for a hash.

    Raises TryAgainError if too many passwords are being hashed already.
    """
    with _limit.slot():
        try:
            return _hasher.verify(hashed or _dummy_hash(), password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


@cache
def _dummy_hash() -> str:
    return _hasher.hash("dummy password")
