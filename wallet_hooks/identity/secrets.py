"""References to secrets: the database stores where a secret is (`env:NAME`, `file:PATH`), never its value."""

import os
from pathlib import Path

from wallet_hooks.errors import RefusedError


def check_reference(reference: str) -> str:
    """Return the reference. Raises RefusedError unless it is `env:NAME` or `file:PATH`."""
    scheme, _, target = reference.partition(":")
    if scheme not in ("env", "file") or not target:
        raise RefusedError("bad_secret", "secret: a reference env:NAME or file:PATH is expected")
    return reference


def read_secret(reference: str) -> str | None:
    """Return the secret, None if it does not exist: during rotation, one of two may already be removed."""
    scheme, _, target = reference.partition(":")
    if scheme == "env":
        return os.environ.get(target, "").strip() or None
    try:
        return Path(target).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
