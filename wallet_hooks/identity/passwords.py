"""Passwords: kept as argon2 hashes, never as themselves."""

from argon2 import PasswordHasher

from wallet_hooks.errors import RefusedError

_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """Raises RefusedError unless it has at least 8 characters, letters and digits among them (seeds/000)."""
    has_both = any(c.isalpha() for c in password) and any(c.isdigit() for c in password)
    if not 8 <= len(password) <= 1000 or not has_both:
        raise RefusedError("bad_password", "a password has at least 8 characters, letters and digits among them")
    return _hasher.hash(password)
