"""Random tokens of callers, of which only hashes are stored, and the record of when they were last used."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, update

from wallet_hooks.database import writing

_USE_INTERVAL = timedelta(seconds=60)


def new_token() -> str:
    """Return 128 random bits as 32 hex digits."""
    return secrets.token_hex(16)


def token_hash(token: str) -> str:
    """Return the stored hash of a token. 128 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def is_idle(used_at: datetime, *, now: datetime, idle: timedelta) -> bool:
    """Return whether a session that was last used at `used_at` (UTC) has ended, because it was unused for too long."""
    return now - used_at >= idle


def record_use(
    engine: Engine,
    model: Any,
    own: ColumnElement[bool],
    used_at: datetime | None,
    *,
    now: datetime,
    idle: timedelta = timedelta.max,
) -> datetime:
    """Set the column `used_at` of the model's row that is `own`, and return the time that is recorded.

    Written at most once a minute, or ten times in the time that it may be `idle`, so that most reading calls do not
    write. `used_at` is when the row was last used, None for never.
    """
    if used_at is not None and now - used_at < min(_USE_INTERVAL, idle / 10):
        return used_at
    with writing(engine) as session:
        is_older = (model.used_at < now) | model.used_at.is_(None)
        session.execute(update(model).where(own, is_older).values(used_at=now))
    return now
