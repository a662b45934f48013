"""Password hashing with argon2. Passwords are never stored."""

from functools import cache
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wallet_hooks.errors import RefusedError
from wallet_hooks.web.concurrency import ConcurrencyLimit

MAX_PASSWORD = 1000  # characters
_hasher = PasswordHasher(parallelism=1)
# A hash takes 64 MiB and tens of milliseconds by design: many concurrent logins must exhaust neither memory nor the
# threads that serve bets. Anybody can try to log in as a customer, so those attempts do not hold up the other kinds.
_logins = ConcurrencyLimit("logins", running=2, admitted=8)
_staff_logins = ConcurrencyLimit("logins", running=1, admitted=4)
_new_passwords = ConcurrencyLimit("new passwords", running=1, admitted=4)


def hash_password(password: str) -> str:
    """Return the password's hash. Raises RefusedError unless it meets the rules of docs/protocols/customers.md.

    The same letters have the same hash, composed or not (Unicode's NFC, as in RFC 8265). Raises TryAgainError if too
    many passwords are being hashed already.
    """
    password = normalize("NFC", password)
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= MAX_PASSWORD or not has_both:
        raise RefusedError(
            "bad_password",
            f"password: 8 to {MAX_PASSWORD} characters, with at least one letter and one digit, are expected",
        )
    with _new_passwords.slot():
        return _hasher.hash(password)


def is_password(password: str, hashed: str | None, *, is_staff: bool = False) -> bool:
    """Return whether the password has this hash. For None it is False, after the same time as for a hash.

    Raises TryAgainError if too many of customers, or of staff, are being checked already.
    """
    # Earlier versions hashed a password as it came.
    with (_staff_logins if is_staff else _logins).slot():
        return any(_matches(one, hashed) for one in dict.fromkeys((normalize("NFC", password), password)))


def _matches(password: str, hashed: str | None) -> bool:
    try:
        return _hasher.verify(hashed or _dummy_hash(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _dummy_hash() -> str:
    return _hasher.hash("dummy password")
