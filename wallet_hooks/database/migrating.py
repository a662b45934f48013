"""Runs Alembic migrations, one process at a time, on all schemas of a database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

from wallet_hooks import clock
from wallet_hooks.database.brand_schemas import has_brand_schemas, schema_of
from wallet_hooks.database.revisions import MIGRATIONS, newest_revision
from wallet_hooks.errors import RefusedError, TryAgainError

# The PostgreSQL advisory lock that a migrating process holds.
_LOCK = 0x77616C6C65743031  # "wallet01"
_LOCK_TIMEOUT = 600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Migration:
    """What Alembic's environment (migrations/env.py) is run for.

    `progress` is called before each brand's schema, with its name, its number from 1, and the number of schemas.
    `new_schema` is the one schema to create, on a connection that is in a transaction.
    """

    engine: Engine
    waiting: Callable[[], None] = lambda: None
    progress: Callable[[str, int, int], None] = lambda *_: None
    is_downgrade: bool = False
    new_schema: tuple[Connection, str] | None = None


def upgrade(engine: Engine, revision: str = "head", **reports: Any) -> None:
    """Run the migrations up to `revision`. If another process is migrating, call `waiting` once and wait for it.

    `reports` are `waiting` and `progress` (see Migration). A run that was interrupted goes on where it stopped. Raises
    TryAgainError if the other process takes longer than ten minutes, ConfigurationError if the setting for brand
    schemas contradicts the database.
    """
    _check_revision(engine, revision)
    command.upgrade(_config(Migration(engine=engine, **reports)), revision)


def downgrade(engine: Engine, revision: str, **reports: Any) -> None:
    """Undo migrations down to `revision` (`base`: all) and delete their data. Waits and reports as `upgrade` does."""
    _check_revision(engine, revision)
    command.downgrade(_config(Migration(engine=engine, is_downgrade=True, **reports)), revision)


def _check_revision(engine: Engine, revision: str) -> None:
    """Raise RefusedError for no revision, or one that is relative where schemas may be at different ones."""
    if not revision or (has_brand_schemas(engine) and revision[0] in "+-"):
        raise RefusedError(
            "bad_revision", f"{revision!r} names no migration: give its number, such as {newest_revision()}"
        )


def forbid_migrations(connection: Connection) -> None:
    """Let no migration begin until the connection's transaction ends; wait for one that runs.

    To be called before anything is locked that a migration may want. Raises TryAgainError after ten minutes, and
    RefusedError if the database is at another migration than the code.
    """
    _lock(connection, "pg_try_advisory_xact_lock", lambda: None)
    revision = connection.scalar(text("SELECT version_num FROM public.alembic_version"))
    if revision != newest_revision():
        raise RefusedError("schema_outdated", f"database at migration {revision}, this program at {newest_revision()}")


def create_brand_schema(connection: Connection, brand_id: int) -> None:
    """Create a brand's schema with all its tables, in a transaction that has excluded migrations."""
    migration = Migration(engine=connection.engine, new_schema=(connection, schema_of(brand_id)))
    command.upgrade(_config(migration), "head")


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
    has_reported = False

    def wait() -> None:
        nonlocal has_reported
        connection.rollback()
        if not has_reported:
            waiting()
            has_reported = True

    _lock(connection, "pg_try_advisory_lock", wait)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


def _lock(connection: Connection, function: str, wait: Callable[[], None]) -> None:
    """Take the lock of migrations by a function of PostgreSQL; call `wait` before each further try."""
    deadline = clock.monotonic() + _LOCK_TIMEOUT
    while not connection.scalar(text(f"SELECT {function}(:key)"), {"key": _LOCK}):
        wait()
        if clock.monotonic() > deadline:
            raise TryAgainError("another process has been migrating for ten minutes")
        time.sleep(0.1)


def _config(migration: Migration) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["migration"] = migration
    return config
