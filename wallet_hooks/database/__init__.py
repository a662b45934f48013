"""Engines, database transactions, classified faults and column types. Bulk statements are in `bulk.py`."""

from wallet_hooks.database.brand_schemas import brand_engine, has_brand_schemas
from wallet_hooks.database.engine import check_databases, open_engine
from wallet_hooks.database.faults import DATABASE_ERRORS, Fault, describe, fault_of, first_line, is_misconfigured
from wallet_hooks.database.snapshots import can_share_snapshot, reading_beside
from wallet_hooks.database.tables import Base, Identity64, Key, Shared, SharedAndOwn, UTCDateTime, WideAmount
from wallet_hooks.database.transactions import (
    connection_cache,
    has_row_locks,
    locked,
    read_with_retries,
    reading,
    refresh_statistics,
    run_in_batches,
    run_with_retries,
    shorten_lock_timeout,
    stream_rows,
    writing,
)

__all__ = [
    "DATABASE_ERRORS",
    "Base",
    "Fault",
    "Identity64",
    "Key",
    "Shared",
    "SharedAndOwn",
    "UTCDateTime",
    "WideAmount",
    "brand_engine",
    "can_share_snapshot",
    "check_databases",
    "connection_cache",
    "describe",
    "fault_of",
    "first_line",
    "has_brand_schemas",
    "has_row_locks",
    "is_misconfigured",
    "locked",
    "open_engine",
    "read_with_retries",
    "reading",
    "reading_beside",
    "refresh_statistics",
    "run_in_batches",
    "run_with_retries",
    "shorten_lock_timeout",
    "stream_rows",
    "writing",
]
