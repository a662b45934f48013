"""Engines, tables' common ground, transactions, and statements over sets of rows."""

from wallet_hooks.database.engine import has_row_locks, open_engine, reading, refresh_statistics, wait_briefly, writing
from wallet_hooks.database.faults import Fault, fault_of
from wallet_hooks.database.rows import Call, Either, RowStatement, for_update, run_together, write_at_once
from wallet_hooks.database.streams import read_day, read_instant, stream_rows
from wallet_hooks.database.tables import Base, Identity64, Key, UTCDateTime, WideAmount

__all__ = [
    "Base",
    "Call",
    "Either",
    "Fault",
    "Identity64",
    "Key",
    "RowStatement",
    "UTCDateTime",
    "WideAmount",
    "fault_of",
    "for_update",
    "has_row_locks",
    "open_engine",
    "read_day",
    "read_instant",
    "reading",
    "refresh_statistics",
    "run_together",
    "stream_rows",
    "wait_briefly",
    "write_at_once",
    "writing",
]
