"""Snapshots that several connections read from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from wallet_hooks.database.transactions import has_row_locks, reading


def can_share_snapshot(session: Session) -> bool:
    """Return whether other connections can read from the snapshot of a `reading` session.

    With Citus they cannot: each node has a snapshot of its own for each connection. SQLite has one for each connection.
    """
    driver: Any = session.connection().connection.driver_connection
    return has_row_locks(session.get_bind().engine) and not driver.has_citus


def export_snapshot(session: Session) -> str:
    """Return the statement with which another connection's transaction reads from the session's snapshot."""
    return f"SET TRANSACTION SNAPSHOT '{session.scalar(text('SELECT pg_export_snapshot()'))}'"


@contextmanager
def reading_beside(session: Session) -> Iterator[Session]:
    """Open another read-only database transaction on the snapshot of a `reading` session that can share it."""
    with reading(session.get_bind().engine) as other:
        other.execute(text(export_snapshot(session)))
        yield other
