"""Classifies database errors of all drivers (psycopg, ADBC, sqlite3) and of SQLAlchemy into `Fault`."""

import re
import sqlite3
from enum import Enum

import adbc_driver_manager
import psycopg
from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from wallet_hooks.errors import WalletHooksError
from wallet_hooks.money import CurrencyMismatchError


class Fault(Enum):
    LOST = "lost"  # the database is unreachable or full, or the connection broke: the outcome is unknown
    CONTENDED = "contended"  # a serialization failure or a deadlock: a retry may succeed
    STALE_PLAN = "stale_plan"  # a prepared statement is gone, or a migration changed its result: a retry succeeds
    LATE = "late"  # a lock or a statement timed out
    DUPLICATE = "duplicate"  # a unique key was inserted by another transaction
    OUT_OF_RANGE = "out_of_range"  # a number too large for its column
    CLOSED_PERIOD = "closed_period"  # the accounting day was closed by another transaction
    CURRENCY = "currency"  # a currency is stored with other decimals than this process has
    SCHEMA_OUTDATED = "schema_outdated"  # a table or a column is missing: migrations were not run
    OTHER = "other"


# Faults after which a retry of the same work can succeed, because it reads newer data.
RETRIED_FAULTS = (Fault.CONTENDED, Fault.STALE_PLAN, Fault.DUPLICATE, Fault.CLOSED_PERIOD)
# Messages of the ledger's triggers: a transaction is booked into a closed day; its id or reference exists.
CLOSED_PERIOD_MESSAGE = "ledger: the period is closed"
DUPLICATE_MESSAGE = "ledger: the id or reference is taken"
# Suffix of the check constraints that make SQLite store integers only.
EXACT_CHECK = "_exact"

# SQLAlchemy's message when the connections that its pool offered, and opened instead, were to be replaced.
_NO_CONNECTION = "This connection is closed"
# Citus' messages for a node that it cannot reach, or that is being killed.
_LOST_NODE = re.compile(
    "marked as essential|server closed the connection|connection to the remote node|connection not open"
    "|postmaster was shut down"
)
# libpq's message for a statement that it does not send; it has no SQLSTATE, as lost connections.
_TOO_MANY_PARAMETERS = "number of parameters must be"
_OPERATIONAL = (psycopg.OperationalError, adbc_driver_manager.OperationalError)
_LOST_STATES = ("08", "53", "57P", "58", "25006")  # 25006: a standby, or a demoted primary
_CONTENDED_STATES = ("40",)
_LATE_STATES = ("55P03", "57014", "25P")
_STALE_PLAN_STATES = ("26000", "42P05")  # no such prepared statement, or its name exists already
_MISSING_STATES = ("42P01", "42703")  # undefined table, undefined column
_SQLITE_LATE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_LOST = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
)
_SQLITE_MISCONFIGURED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB)
_SQLITE_OVERFLOW = "integer overflow"  # of a sum
_SQLITE_MISSING = re.compile("no such (table|column)|has no column named")
# Messages of libpq and PostgreSQL for connections that no retry will open. Connection errors have no SQLSTATE.
_MISCONFIGURED = re.compile(
    r"connection is bad: (?!connection to server)"  # before anything was sent: a value that libpq does not accept
    r"|could not match \d+ "  # unequal numbers of hosts, addresses and ports
    r"|failed to resolve host (?!.*Temporary failure)"
    r"|does not exist|is not permitted to log in|permission denied for database|no pg_hba\.conf entry"
    r"|authentication failed|no password supplied|unrecognized configuration parameter"
    r"|invalid value for parameter|invalid command-line argument|server does not support SSL|certificate"
)


DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error, sqlite3.Error, adbc_driver_manager.Error)


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's error that one of SQLAlchemy's has, or the error itself."""
    return (error.orig if isinstance(error, DBAPIError) else None) or error


def state_of(error: BaseException) -> str | None:
    """Return the code of a driver's error, which holds no data: PostgreSQL's SQLSTATE, or SQLite's name."""
    return getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)


def fault_of(error: BaseException) -> Fault:
    """Classify an error of SQLAlchemy, psycopg, ADBC or sqlite3; anything else is OTHER."""
    if isinstance(error, PoolTimeoutError):
        return Fault.LATE
    if isinstance(error, InvalidRequestError) and str(error) == _NO_CONNECTION:
        return Fault.LOST
    if isinstance(error, CurrencyMismatchError):
        return Fault.CURRENCY
    if isinstance(error, DBAPIError):
        return Fault.LOST if error.connection_invalidated or error.orig is None else fault_of(error.orig)
    if isinstance(error, psycopg.Error | sqlite3.Error) and CLOSED_PERIOD_MESSAGE in str(error):
        return Fault.CLOSED_PERIOD
    if isinstance(error, psycopg.Error | adbc_driver_manager.Error):
        return _postgresql_fault(error)
    if isinstance(error, sqlite3.Error):
        return _sqlite_fault(error)
    return Fault.OTHER


def _postgresql_fault(error: psycopg.Error | adbc_driver_manager.Error) -> Fault:
    state = error.sqlstate
    if state is None:
        is_lost = isinstance(error, _OPERATIONAL) and _TOO_MANY_PARAMETERS not in str(error)
        return Fault.LOST if is_lost else Fault.OTHER
    if state == "23505":
        return Fault.DUPLICATE
    if state == "XX000":
        return _citus_fault(error)
    if state == "0A000":
        return _unsupported(error)
    for fault, prefixes in (
        (Fault.OUT_OF_RANGE, ("22003",)),
        (Fault.LATE, _LATE_STATES),
        (Fault.STALE_PLAN, _STALE_PLAN_STATES),
        (Fault.SCHEMA_OUTDATED, _MISSING_STATES),
        (Fault.CONTENDED, _CONTENDED_STATES),
        (Fault.LOST, _LOST_STATES),
    ):
        if state.startswith(prefixes):
            return fault
    return Fault.OTHER


def _citus_fault(error: psycopg.Error | adbc_driver_manager.Error) -> Fault:
    """Classify an internal error: Citus reports so what a node reported to it, and a node that it lost."""
    text = str(error)
    if "duplicate key value" in text:
        return Fault.DUPLICATE
    return Fault.LOST if _LOST_NODE.search(text) else Fault.OTHER


def _unsupported(error: psycopg.Error | adbc_driver_manager.Error) -> Fault:
    """Classify SQLSTATE 0A000: a prepared statement whose columns changed, or a read-only standby."""
    if isinstance(error, psycopg.Error) and error.diag.source_function == "RevalidateCachedQuery":
        return Fault.STALE_PLAN
    return Fault.LOST if "recovery" in str(error) else Fault.OTHER


def _sqlite_fault(error: sqlite3.Error) -> Fault:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Fault.OTHER
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Fault.DUPLICATE
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER and DUPLICATE_MESSAGE in str(error):
        return Fault.DUPLICATE
    if code == sqlite3.SQLITE_CONSTRAINT_CHECK and EXACT_CHECK in str(error):
        return Fault.OUT_OF_RANGE
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_ERROR and _SQLITE_OVERFLOW in str(error):
        return Fault.OUT_OF_RANGE
    if primary == sqlite3.SQLITE_ERROR and _SQLITE_MISSING.search(str(error)):
        return Fault.SCHEMA_OUTDATED
    if primary in _SQLITE_LATE:
        return Fault.LATE
    return Fault.LOST if primary in _SQLITE_LOST else Fault.OTHER


def is_misconfigured(error: BaseException) -> bool:
    """Return whether connecting failed because the URL is wrong, so that only a changed setting can help.

    With several hosts, all must fail that way: one that is unreachable may be the right one.
    """
    cause = driver_error(error)
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) in _SQLITE_MISCONFIGURED
    if not isinstance(cause, psycopg.OperationalError) or cause.sqlstate is not None:
        return False
    attempts = [line for line in str(cause).splitlines() if line.startswith("- host: ")]
    return all(_MISCONFIGURED.search(attempt) for attempt in attempts or [str(cause)])


def first_line(error: BaseException) -> str:
    """Return the first line of the driver's message; further lines quote statements and rows."""
    return (str(driver_error(error)).splitlines() or [type(error).__name__])[0]


def describe(error: BaseException) -> str:
    """Return one line for the operator about an error of ours or of the database."""
    if isinstance(error, WalletHooksError):
        return f"{error.code}: {error}"
    advice = _MIGRATE if fault_of(error) is Fault.SCHEMA_OUTDATED else ""
    return f"database ({fault_of(error).value}): {first_line(error)}{advice}"


_MIGRATE = "; run wallet-hooks db upgrade, or db check if the database is up to date"
