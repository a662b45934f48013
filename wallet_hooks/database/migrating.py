"""Runs Alembic migrations, one process at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from wallet_hooks import clock
from wallet_hooks.database.schema import MIGRATIONS
from wallet_hooks.errors import TryAgainError

# The PostgreSQL advisory lock that a migrating process holds.
_LOCK = 0x77616C6C65743031  # "wallet01"
_LOCK_TIMEOUT = 600.0  # seconds


def upgrade(engine: Engine, revision: str = "head", *, waiting: Callable[[], None] = lambda: None) -> None:
    """Run the migrations up to `revision`. If another process is migrating, call `waiting` once and wait for it.

    Raises TryAgainError if that takes longer than ten minutes.
    """
    command.upgrade(_config(engine, waiting), revision)


def downgrade(engine: Engine, revision: str, *, waiting: Callable[[], None] = lambda: None) -> None:
    """Undo migrations down to `revision` (`base`: all) and delete their data. Waits as `upgrade` does."""
    command.downgrade(_config(engine, waiting), revision)


@contextmanager
def exclusive_migration(connection: Connection, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process migrate at a time. Calls `waiting` once if another process is migrating.

    PostgreSQL: an advisory lock that is polled. Waiting inside the server would hold a snapshot, and CREATE INDEX
    CONCURRENTLY of the other process would wait for that snapshot in turn. SQLite's transactions exclude each other.
    Raises TryAgainError if the other process takes longer than ten minutes.
    """
    if connection.dialect.name != "postgresql":
        cast("Any", connection.connection.driver_connection).execute(
            f"PRAGMA busy_timeout = {int(_LOCK_TIMEOUT * 1000)}"
        )
        yield
        return
    deadline = clock.monotonic() + _LOCK_TIMEOUT
    has_reported = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.rollback()
        if not has_reported:
            waiting()
            has_reported = True
        if clock.monotonic() > deadline:
            raise TryAgainError("another process has been migrating for ten minutes")
        time.sleep(0.1)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


def _config(engine: Engine, waiting: Callable[[], None]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes |= {"engine": engine, "waiting": waiting}
    return config
