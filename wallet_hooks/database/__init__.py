"""Engines, transactions, faults, and what all tables share. Statements over sets of rows are in `bulk.py`."""

from wallet_hooks.database.engine import (
    check_databases,
    has_row_locks,
    kept_until_rollback,
    locked,
    open_engine,
    reading,
    refresh_statistics,
    run_again,
    wait_briefly,
    writing,
)
from wallet_hooks.database.faults import DATABASE_ERRORS, Fault, fault_of, first_line, is_misconfigured
from wallet_hooks.database.tables import Base, Identity64, Key, UTCDateTime, WideAmount

__all__ = [
    "DATABASE_ERRORS",
    "Base",
    "Fault",
    "Identity64",
    "Key",
    "UTCDateTime",
    "WideAmount",
    "check_databases",
    "fault_of",
    "first_line",
    "has_row_locks",
    "is_misconfigured",
    "kept_until_rollback",
    "locked",
    "open_engine",
    "reading",
    "refresh_statistics",
    "run_again",
    "wait_briefly",
    "writing",
]
