"""Telling apart what went wrong in a database, whichever driver said it."""

import sqlite3
from enum import Enum

import adbc_driver_manager
import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from wallet_hooks.money import CurrencyMismatchError


class Fault(Enum):
    LOST = "lost"  # the database is away, or full, or the connection broke: nobody knows more
    CONTENDED = "contended"  # a serialization failure or a deadlock: the same again may well succeed
    LATE = "late"  # a lock or a statement took longer than it may
    DUPLICATE = "duplicate"  # a unique key was taken meanwhile
    OUT_OF_RANGE = "out_of_range"  # a number that no account can hold
    CLOSED_PERIOD = "closed_period"  # the accounting day was closed meanwhile
    CURRENCY = "currency"  # stored amounts have other decimals than this process has for their currency
    OTHER = "other"


# The ledger's triggers say these words when a transaction is booked into a closed day.
CLOSED_PERIOD_MESSAGE = "ledger: the period is closed"
DUPLICATE_MESSAGE = "ledger: the id or reference is taken"
# How the names of the checks end that hold SQLite to whole numbers.
EXACT_CHECK = "_exact"

_OPERATIONAL = (psycopg.OperationalError, adbc_driver_manager.OperationalError)
_LOST_STATES = ("08", "53", "57P", "58", "25006")  # 25006: a standby, or a primary that was demoted
_CONTENDED_STATES = ("40",)
_LATE_STATES = ("55P03", "57014", "25P")
_SQLITE_LATE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_LOST = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def fault_of(error: BaseException) -> Fault:
    """Sort an error of SQLAlchemy, psycopg, ADBC or sqlite3; anything else is OTHER."""
    if isinstance(error, PoolTimeoutError):
        return Fault.LATE
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
        return Fault.LOST if isinstance(error, _OPERATIONAL) else Fault.OTHER
    if state == "23505":
        return Fault.DUPLICATE
    if state == "0A000" and "recovery" in str(error):
        return Fault.LOST
    for fault, prefixes in (
        (Fault.OUT_OF_RANGE, ("22003",)),
        (Fault.LATE, _LATE_STATES),
        (Fault.CONTENDED, _CONTENDED_STATES),
        (Fault.LOST, _LOST_STATES),
    ):
        if state.startswith(prefixes):
            return fault
    return Fault.OTHER


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
    if primary in _SQLITE_LATE:
        return Fault.LATE
    return Fault.LOST if primary in _SQLITE_LOST else Fault.OTHER
