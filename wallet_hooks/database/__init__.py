"""Engines, tables' common ground, transactions, and statements over sets of rows."""

from wallet_hooks.database.engine import (
    check_databases,
    has_row_locks,
    locked,
    open_engine,
    reading,
    refresh_statistics,
    run_again,
    wait_briefly,
    writing,
)
from wallet_hooks.database.faults import DATABASE_ERRORS, Fault, fault_of, first_line, is_misconfigured
from wallet_hooks.database.rows import Call, Either, RowStatement, for_update, run_together, write_at_once
from wallet_hooks.database.tables import Base, Identity64, Key, UTCDateTime, WideAmount, as_day, as_instant

__all__ = [
    "DATABASE_ERRORS",
    "Base",
    "Call",
    "Either",
    "Fault",
    "Identity64",
    "Key",
    "RowStatement",
    "UTCDateTime",
    "WideAmount",
    "as_day",
    "as_instant",
    "check_databases",
    "fault_of",
    "first_line",
    "for_update",
    "has_row_locks",
    "is_misconfigured",
    "locked",
    "open_engine",
    "reading",
    "refresh_statistics",
    "run_again",
    "run_together",
    "wait_briefly",
    "write_at_once",
    "writing",
]
