"""Engines, transactions, faults, and what all tables share. Statements over sets of rows are in `bulk.py`."""

from wallet_hooks.database.engine import (
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
from wallet_hooks.database.faults import Fault, fault_of
from wallet_hooks.database.tables import Base, Identity64, Key, UTCDateTime, WideAmount

__all__ = [
    "Base",
    "Fault",
    "Identity64",
    "Key",
    "UTCDateTime",
    "WideAmount",
    "fault_of",
    "has_row_locks",
    "kept_until_rollback",
    "locked",
    "open_engine",
    "reading",
    "refresh_statistics",
    "run_again",
    "wait_briefly",
    "writing",
]
