"""References to secrets: the database stores where a secret is (`env:NAME`, `file:PATH`), never its value."""

import os
from pathlib import Path

from wallet_hooks.errors import RefusedError
from wallet_hooks.logs import LOG

_SHORTEST_SAFE = 16  # characters of a secret
_SHORTEST_OF_TOKENS = 32  # as RFC 7518 asks for HS256
_unreadable: set[str] = set()  # references that were logged


def check_reference(reference: str) -> str:
    """Return the reference. Raises RefusedError unless it is `env:NAME` or `file:PATH`."""
    scheme, _, target = reference.partition(":")
    if scheme not in ("env", "file") or not target:
        raise RefusedError("bad_secret", "secret: a reference env:NAME or file:PATH is expected")
    return reference


def read_secret(reference: str) -> str | None:
    """Return the secret, None if it cannot be read: during rotation, one of two may already be removed.

    What cannot be read is logged once, until it can be read again.
    """
    secret = _read(reference)
    if secret is not None:
        _unreadable.discard(reference)
    elif reference not in _unreadable:
        _unreadable.add(reference)
        LOG.warning("secret_unreadable", reference=reference)
    return secret


def is_readable(reference: str) -> bool:
    """Return whether this process can read the secret. The environment of another one may have other variables."""
    return _read(reference) is not None


def shortest_safe(auth: str) -> int:
    """Return how many random characters a secret needs at least, by the provider's authentication."""
    return _SHORTEST_OF_TOKENS if auth == "scout-jwt" else _SHORTEST_SAFE


def is_short(reference: str, *, auth: str) -> bool:
    """Return whether the secret can be read and is so short that it may be guessed.

    Of `basic` the password counts, of `standard-webhooks` what follows the prefix.
    """
    secret = _read(reference)
    if secret is None:
        return False
    guessed = secret.partition(":")[2] if auth == "basic" else secret.removeprefix("whsec_")
    return len(guessed) < shortest_safe(auth)


def _read(reference: str) -> str | None:
    scheme, _, target = reference.partition(":")
    if scheme == "env":
        return os.environ.get(target, "").strip() or None
    try:
        return Path(target).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
