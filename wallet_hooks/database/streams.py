"""Streams large results as Arrow record batches, in constant memory and, on PostgreSQL, without Python objects."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pyarrow as pa
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg.conninfo import make_conninfo
from sqlalchemy import Dialect, Select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import Session

from wallet_hooks.database.brand_schemas import choose_schema, current_schema
from wallet_hooks.database.snapshots import can_share_snapshot, export_snapshot
from wallet_hooks.database.transactions import ONE_PROCESS

_BATCH_ROWS = 10_000
_BATCH_BYTES = 2**17
_BATCHES_AHEAD = 16
_SETTINGS = ("SET LOCAL TIME ZONE 'UTC'", ONE_PROCESS)
# A sort reads all rows before it returns the first one, and those of a long day do not fit in memory.
_IN_KEY_ORDER = ("SET LOCAL enable_sort = off", "SET LOCAL enable_hashjoin = off")
# Not psycopg's dialect, which would double each percent sign.
_POSTGRESQL: Dialect = cast("Any", PGDialect)(paramstyle="named")


def stream_batches(
    session: Session, query: Select[*tuple[Any, ...]], schema: pa.Schema, *, in_key_order: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield a query's result from the session's snapshot, as record batches with the given schema.

    `in_key_order`: the query reads a range of its tables' keys in their order, so PostgreSQL need not sort.
    """
    if session.get_bind().dialect.name == "sqlite":
        return _from_sqlite(session, _statement(query, sqlite.dialect()), schema)
    statement = _statement(query, _POSTGRESQL)
    if can_share_snapshot(session):
        return _from_postgresql(session, statement, schema, in_key_order=in_key_order)
    return _from_session(session, statement, schema)


def _statement(query: Select[*tuple[Any, ...]], dialect: Dialect) -> str:
    """Return the SQL with literal values: the ADBC driver is fastest without parameters."""
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _from_postgresql(
    session: Session, statement: str, schema: pa.Schema, *, in_key_order: bool
) -> Iterator[pa.RecordBatch]:
    """Read through an ADBC connection that imports the session's snapshot."""
    with dbapi.connect(_conninfo(session)) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(export_snapshot(session))
        for setting in (*_SETTINGS, *(_IN_KEY_ORDER if in_key_order else ())):
            cursor.execute(setting)
        if (brand := current_schema(session.connection())) is not None:
            cursor.execute(choose_schema(brand))
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
        cursor.execute(statement)
        yield from _read_ahead(batch.rename_columns(schema.names).cast(schema) for batch in cursor.fetch_record_batch())


def _conninfo(session: Session) -> str:
    """Return libpq's connection string for the server that the session is connected to, with the same options.

    The URL may name several hosts, but the snapshot exists on this server only.
    """
    info = cast("Any", session.connection().connection.driver_connection).info
    server = {"host": info.host, "hostaddr": info.hostaddr, "port": info.port, "password": info.password}
    return make_conninfo(**info.get_parameters() | {name: value for name, value in server.items() if value})


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches, reading the next ones in a thread while the caller processes one."""
    reader = ThreadPoolExecutor(1)
    pending = deque(reader.submit(next, batches, None) for _ in range(_BATCHES_AHEAD))
    try:
        while (batch := pending.popleft().result()) is not None:
            pending.append(reader.submit(next, batches, None))
            yield batch
    finally:
        reader.shutdown(cancel_futures=True)


def _from_session(session: Session, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Read through the session's own connection, with a cursor of the server."""
    session.execute(text("SET LOCAL TIME ZONE 'UTC'"))
    with cast("Any", session.connection().connection.driver_connection).cursor("batches") as cursor:
        cursor.execute(statement)
        yield from _batches(cursor, schema, pa.array)


def _from_sqlite(session: Session, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = cast("Any", session.connection().connection.driver_connection).execute(statement)
    return _batches(rows, schema, _column)


def _batches(cursor: Any, schema: pa.Schema, column: Callable[[Any, Any], pa.Array]) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(_BATCH_ROWS):
        columns = zip(*rows, strict=True)
        arrays = [column(values, field.type) for values, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    """Return an Arrow array; SQLite stores dates and UTC timestamps as text."""
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(pa.timestamp(kind.unit)).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)
