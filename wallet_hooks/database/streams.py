"""Rows by the million, as Arrow's batches of columns: read with flat memory, and never as Python's objects."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pyarrow as pa
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg.conninfo import make_conninfo
from sqlalchemy import Dialect, Select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import Session

_BATCH_ROWS = 10_000
_BATCH_BYTES = 2**20
# Not the driver's own dialect, which would double each percent sign.
_POSTGRESQL: Dialect = cast("Any", PGDialect)(paramstyle="named")


def stream_batches(session: Session, query: Select[*tuple[Any, ...]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """What a query selects, in the session's snapshot of the database, as the schema says."""
    if session.get_bind().dialect.name == "postgresql":
        return _from_postgresql(session, _statement(query, _POSTGRESQL), schema)
    return _from_sqlite(session, _statement(query, sqlite.dialect()), schema)


def _statement(query: Select[*tuple[Any, ...]], dialect: Dialect) -> str:
    """With its values written into it: Arrow's driver is at its quickest where a statement has no parameters."""
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _from_postgresql(session: Session, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """By a connection of Arrow's own driver, which looks at the same snapshot."""
    snapshot = session.scalar(text("SELECT pg_export_snapshot()"))
    with dbapi.connect(_same_server(session)) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)})
        cursor.execute(statement)
        yield from (batch.rename_columns(schema.names).cast(schema) for batch in _ahead(cursor.fetch_record_batch()))


def _same_server(session: Session) -> str:
    """How to connect to the very server that the session is on, whichever of its URL's hosts that is: the snapshot is
    known there alone. libpq's own form, with every parameter and option of the session's connection.
    """
    info = cast("Any", session.connection().connection.driver_connection).info
    there = {"host": info.host, "hostaddr": info.hostaddr, "port": info.port, "password": info.password}
    return make_conninfo(**info.get_parameters() | {name: value for name, value in there.items() if value})


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, the next one read while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _from_sqlite(session: Session, statement: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = cast("Any", session.connection().connection.driver_connection).execute(statement)
    while batch := rows.fetchmany(_BATCH_ROWS):
        columns = zip(*batch, strict=True)
        arrays = [_column(values, field.type) for values, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    """SQLite keeps days and instants (of UTC) as text."""
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.string()).cast(pa.timestamp(kind.unit)).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)
