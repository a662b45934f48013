"""Engines, tables' common ground, transactions, and statements over sets of rows."""

from wallet_hooks.database.engine import open_engine, reading, writing
from wallet_hooks.database.faults import Fault, fault_of
from wallet_hooks.database.rows import Call, Either, RowStatement, for_update, run_together, write_at_once
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
    "open_engine",
    "reading",
    "run_together",
    "write_at_once",
    "writing",
]
