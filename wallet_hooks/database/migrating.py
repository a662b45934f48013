"""Bringing a database to the code's schema, with Alembic."""

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

# Every process that migrates a PostgreSQL database holds this advisory lock.
_LOCK = 0x77616C6C65743031  # "wallet01"
_PATIENCE = 600.0


def upgrade(engine: Engine, revision: str = "head", *, waiting: Callable[[], None] = lambda: None) -> None:
    """Run the migrations up to `revision`, after any other process that migrates; `waiting` is called where one does.

    Raises TryAgainError where that takes longer than ten minutes.
    """
    command.upgrade(_config(engine, waiting), revision)


def downgrade(engine: Engine, revision: str, *, waiting: Callable[[], None] = lambda: None) -> None:
    """Undo migrations down to `revision` (`base` for all of them), as `upgrade` runs them. Loses what they stored."""
    command.downgrade(_config(engine, waiting), revision)


@contextmanager
def alone(connection: Connection, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process migrate at a time. Calls `waiting` once where another one does already.

    PostgreSQL: an advisory lock, tried again and again: waiting inside the server would hold a snapshot, for which
    CREATE INDEX CONCURRENTLY of the other process would wait in turn. SQLite's transactions exclude each other.
    Raises TryAgainError where the other process takes longer than ten minutes.
    """
    if connection.dialect.name != "postgresql":
        cast("Any", connection.connection.driver_connection).execute(f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}")
        yield
        return
    deadline = clock.monotonic() + _PATIENCE
    told = False
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}):
        connection.rollback()
        if not told:
            waiting()
            told = True
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
