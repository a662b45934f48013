"""Refuses a primary that was replaced: one with an older timeline than a connection of this service has seen.

When a standby is promoted, PostgreSQL begins a new timeline. An old primary that returns without being demoted still
has the old one; what is written to it is lost later. The highest timeline is kept in memory that the workers of a
service share, so it lasts until the service is restarted.
"""

import mmap
import struct

import psycopg

from wallet_hooks.database.deadlines import BoundedConnection

_SEEN = struct.Struct("QI")  # the identifier of the cluster, which its copies share, and its timeline
_seen = mmap.mmap(-1, _SEEN.size)  # created before workers are forked

# A standby has no timeline of its own here: 0. Both functions are for everyone, but some services that are compatible
# with PostgreSQL lack them.
_READ = """
SELECT (pg_control_system()).system_identifier, CASE WHEN pg_is_in_recovery() THEN 0
       ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint END
"""


class ReplacedPrimaryError(psycopg.OperationalError):
    """The server is an old primary that another server has replaced."""


def require_newest(connection: BoundedConnection) -> None:
    """Raise ReplacedPrimaryError if the server's timeline is older than one that was seen; remember it otherwise.

    The connection is in autocommit mode.
    """
    try:
        cluster, timeline = connection.execute(_READ).fetchone() or (0, 0)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFunction):
        return
    connection.timeline = found = cluster % 2**64, timeline
    if is_replaced(connection):
        connection.close()
        raise ReplacedPrimaryError(f"the server was replaced: timeline {timeline}, and a newer one was seen")
    if timeline:
        _seen[:] = _SEEN.pack(*found)


def is_replaced(connection: BoundedConnection) -> bool:
    """Return whether a connection is to a primary that has been replaced since it was opened, as far as is known."""
    if connection.timeline is None:
        return False
    cluster, timeline = connection.timeline
    known_cluster, known = _SEEN.unpack(_seen[:])
    return bool(cluster == known_cluster and 0 < timeline < known)
