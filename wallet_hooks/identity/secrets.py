"""Secrets are references: the database names where one is, never what it is."""

import os
from pathlib import Path

from wallet_hooks.errors import RefusedError


def check_reference(reference: str) -> str:
    """Raises RefusedError unless the reference is `env:NAME` or `file:PATH`."""
    scheme, _, target = reference.partition(":")
    if scheme not in ("env", "file") or not target:
        raise RefusedError("bad_secret", "a secret is given as env:NAME or file:PATH")
    return reference


def read_secret(reference: str) -> str | None:
    """The secret itself, or None where it is not there (one of two may be retired already)."""
    scheme, _, target = reference.partition(":")
    if scheme == "env":
        return os.environ.get(target, "").strip() or None
    try:
        return Path(target).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
