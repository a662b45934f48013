"""Creates engines, for PostgreSQL and SQLite."""

import json
import math
import sqlite3
import time
from functools import lru_cache, partial
from typing import Any

from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from wallet_hooks import clock
from wallet_hooks.database.brand_schemas import HAS_BRAND_SCHEMAS
from wallet_hooks.database.citus import HAS_CITUS
from wallet_hooks.database.connecting import use_connector
from wallet_hooks.database.deadlines import BoundedConnection
from wallet_hooks.database.faults import Fault, fault_of, first_line, is_misconfigured
from wallet_hooks.database.layout import require_layout
from wallet_hooks.database.pipelines import (
    PREPARED,
    TRANSACTION_SETTINGS,
    PreparedStatements,
    run_statements,
    settings_statements,
    settings_statements_for_nodes,
)
from wallet_hooks.database.timelines import require_newest
from wallet_hooks.database.transactions import clear_cache
from wallet_hooks.database.urls import postgresql_parameters, sqlite_url
from wallet_hooks.settings import NETWORK_SECONDS, ConfigurationError, Settings, TimeOuts

# Statements of callbacks and APIs look rows up by their keys and must never scan a table. PostgreSQL would: it caches
# plans that it made while tables were empty, and it takes the first entries of a customer who has many for thousands,
# because all customers have entries with these numbers. Reports and pages of the console use other engines.
_LOOKUP_PLANS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}

_POOL_TIMEOUT = 5.0  # seconds; users may wait longer for a connection than callbacks


def open_engine(
    settings: Settings,
    *,
    for_callbacks: bool = False,
    for_reports: bool = False,
    for_migrations: bool = False,
    time_outs: TimeOuts | None = None,
    longest_wait: float = math.inf,
) -> Engine:
    """Return an engine for the database in the settings. Raises ConfigurationError if the URL is invalid.

    `for_callbacks` sets the time-outs of callbacks and prepares their statements; `for_reports` selects the reporting
    replica, if the settings name one, and `for_migrations` a direct connection, because migrations need a session of
    their own, which a pooler does not give. `time_outs` bound each lock and statement, which is planned as a look-up;
    without them, PostgreSQL counts as lost if it does not answer for `longest_wait` seconds.
    """
    if for_callbacks:
        time_outs = settings.callback_time_outs
    name, url = _named_url(settings, for_reports=for_reports, for_migrations=for_migrations)
    try:
        if url.startswith("sqlite:"):
            if settings.brand_schemas:
                raise ConfigurationError("WALLET_HOOKS_BRAND_SCHEMAS needs PostgreSQL: SQLite has no schemas")
            return _open_sqlite(url, busy_timeout=10.0 if time_outs is None else time_outs.lock)
        return _open_postgresql(
            postgresql_parameters(url),
            settings,
            for_callbacks=for_callbacks,
            for_reports=for_reports,
            time_outs=time_outs,
            longest_wait=longest_wait if time_outs is None else time_outs.answer,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


def check_databases(settings: Settings) -> None:
    """Raise ConfigurationError if a URL is invalid, or if a server rejects it (no such database, wrong password).

    Also if WALLET_HOOKS_BRAND_SCHEMAS contradicts the database.

    A server that cannot be reached is not an error: the service starts and waits for it.
    """
    for for_reports in (False, True) if settings.reporting_database_url else (False,):
        engine = open_engine(settings, for_callbacks=not for_reports, for_reports=for_reports)
        try:
            with engine.connect() as connection:
                require_layout(connection)
        except SQLAlchemyError as error:
            if is_misconfigured(error):
                name, _ = _named_url(settings, for_reports=for_reports, for_migrations=False)
                raise ConfigurationError(f"{name}: {first_line(error)}") from None
        finally:
            engine.dispose()


def _named_url(settings: Settings, *, for_reports: bool, for_migrations: bool) -> tuple[str, str]:
    if for_migrations and settings.migration_database_url is not None:
        return "WALLET_HOOKS_MIGRATION_DATABASE_URL", settings.migration_database_url
    if for_reports and settings.reporting_database_url is not None:
        return "WALLET_HOOKS_REPORTING_DATABASE_URL", settings.reporting_database_url
    return "WALLET_HOOKS_DATABASE_URL", settings.database_url


def _open_sqlite(url: str, *, busy_timeout: float) -> Engine:
    engine = create_engine(
        sqlite_url(url),
        connect_args={"timeout": busy_timeout, "check_same_thread": False},
        pool_size=8,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", partial(_begin_sqlite, busy_timeout=busy_timeout))
    event.listen(engine, "rollback", clear_cache)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun in _begin_sqlite, not by the driver
    connection.create_function("unhex", 1, _unhex, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA recursive_triggers = ON")  # otherwise REPLACE deletes without running the triggers
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an acknowledged bet survives a power failure


def _unhex(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def _begin_sqlite(connection: Connection, *, busy_timeout: float) -> None:
    if connection.get_execution_options().get("read_only", False):
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(connection, busy_timeout)


def _begin_writing(connection: Connection, busy_timeout: float) -> None:
    """Take the writer's lock at the start: SQLite cannot upgrade a read lock once another connection has written.

    SQLite itself asks again after pauses of up to 0.1 seconds. Another process that writes all the time would take
    the lock again in most of them, so this asks every millisecond.
    """
    deadline = clock.monotonic() + busy_timeout
    sqlite: Any = connection.connection.dbapi_connection
    sqlite.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if fault_of(error) is not Fault.LATE or clock.monotonic() >= deadline:
                    raise
            time.sleep(0.001)
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")


def _open_postgresql(
    parameters: dict[str, str],
    settings: Settings,
    *,
    for_callbacks: bool,
    for_reports: bool,
    time_outs: TimeOuts | None,
    longest_wait: float,
) -> Engine:
    """Return an engine with the URL's libpq parameters."""
    # These detect an unreachable server within seconds; the operating system would take a quarter of an hour.
    connect_args: dict[str, Any] = {"connect_timeout": 2, "tcp_user_timeout": 3000, "client_encoding": "UTF8"}
    connect_args |= {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 3}
    # Only the bulk statements of callbacks are prepared (`pipelines`), because GroupCommit retries them if a migration
    # changed their result.
    connect_args |= {"prepare_threshold": None}
    engine = create_engine(
        "postgresql+psycopg://",
        connect_args=connect_args | parameters,
        pool_size=4,
        pool_use_lifo=True,  # the connection used last has the warmest caches
        max_overflow=4,
        pool_timeout=settings.statement_timeout if for_callbacks else min(_POOL_TIMEOUT, longest_wait),
        pool_pre_ping=not for_callbacks,
        hide_parameters=True,  # errors are logged, and parameters may be secrets
        use_native_hstore=False,  # saves a search for its type with each connection
        execution_options={HAS_BRAND_SCHEMAS: settings.brand_schemas},
    )
    prepare = partial(
        _prepare_postgresql,
        check_timeline=not (for_reports and settings.reporting_database_url),
        may_have_citus=settings.brand_schemas,
    )
    use_connector(engine, longest_wait, prepare)
    if for_callbacks:
        event.listen(engine, "connect", partial(_prepare_for_callbacks, prepared=settings.prepared_statements))
    if time_outs is not None:
        event.listen(engine, "connect", partial(_set_in_transactions, time_outs))
    if time_outs is not None or settings.brand_schemas:
        event.listen(engine, "before_cursor_execute", _begin_postgresql)
    event.listen(engine, "rollback", clear_cache)
    return engine


def _server_settings(time_outs: TimeOuts) -> dict[str, str]:
    seconds = {
        "lock_timeout": time_outs.lock,
        "statement_timeout": time_outs.statement,
        # Frees the locks of a service that has vanished with its machine.
        "idle_in_transaction_session_timeout": max(time_outs.statement, NETWORK_SECONDS) + NETWORK_SECONDS,
    }
    return {name: f"{int(value * 1000)}ms" for name, value in seconds.items()}


def _prepare_postgresql(connection: BoundedConnection, *, check_timeline: bool, may_have_citus: bool) -> None:
    """Set what belongs to a session. A pooler keeps the time zone for its client, and drops other settings."""
    connection.autocommit = True
    connection.execute("SET TIME ZONE 'UTC'")
    if check_timeline:
        require_newest(connection)
    if may_have_citus:
        connection.has_citus = connection.execute(HAS_CITUS).fetchone() is not None
    connection.autocommit = False


def _prepare_for_callbacks(connection: Any, record: Any, *, prepared: bool) -> None:
    set_json_loads(_read_json, connection)
    if prepared:
        record.info[PREPARED] = PreparedStatements()


def _set_in_transactions(time_outs: TimeOuts, connection: Any, record: Any) -> None:
    settings = _server_settings(time_outs) | _LOOKUP_PLANS
    if connection.has_citus:
        settings.pop("plan_cache_mode", None)  # Citus cannot plan an INSERT of arrays without their values
        record.info[TRANSACTION_SETTINGS] = settings_statements_for_nodes(settings)
    else:
        record.info[TRANSACTION_SETTINGS] = settings_statements(settings)


def _begin_postgresql(connection: Connection, *_arguments: object) -> None:
    """Begin a transaction with its settings before a cursor begins it without them."""
    driver: Any = connection.connection.driver_connection
    if driver.pgconn.transaction_status == TransactionStatus.IDLE and not driver.autocommit:
        run_statements(connection, ())


@lru_cache(maxsize=4096)
def _read_json(text: bytes) -> Any:
    """Parse JSON with a cache: JSON columns that callbacks read have few different values, and no code mutates them."""
    return json.loads(text)
