"""Sends statements to PostgreSQL in one round trip, over the pipeline of libpq.

psycopg's cursors do the same at several times the cost, which is most of what a small transaction costs this process.
"""

import math
import secrets
import select
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import errors, generators, pq
from psycopg.adapt import Transformer
from sqlalchemy import Connection

from wallet_hooks import clock
from wallet_hooks.database.brand_schemas import choose_schema, current_schema, has_brand_schemas
from wallet_hooks.database.deadlines import BoundedConnection

# Key of a connection's PreparedStatements among its facts. Where it is missing, statements are not prepared.
PREPARED = "wallet_hooks_prepared"
# Key of the statements that set what holds for one transaction. Where it is missing, nothing is set.
TRANSACTION_SETTINGS = "wallet_hooks_transaction_settings"
_UNUSABLE = ("0A000", "26000", "42P05")  # its result has changed; it does not exist; its name is taken
_COMMIT = b"COMMIT"
# The most prepared statements of a connection, each with its plan: enough for eighty brands with schemas of their own.
_MOST_PREPARED = 2000


class PreparedStatements:
    """The names of a connection's prepared statements.

    No two connections use the same name, and none is used twice: a pooler may give one client's server connection to
    another client, and a statement whose name was cleared here may still exist there.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._count = 0
        self._names: dict[tuple[str | None, bytes], bytes] = {}

    def name_of(self, schema: str | None, sql: bytes) -> bytes | None:
        """Return the name of a statement, or None if it must be prepared.

        PostgreSQL would plan it again each time that the schema changes, so each schema has its own.
        """
        return self._names.get((schema, sql))

    def add(self, schema: str | None, sql: bytes) -> bytes:
        """Return the name with which a statement is to be prepared."""
        self._count += 1
        name = self._names[schema, sql] = f"wallet_hooks_{self._prefix}_{self._count}".encode()
        return name

    @property
    def are_too_many(self) -> bool:
        return len(self._names) > _MOST_PREPARED

    def clear(self) -> None:
        """Clear the names, so that all statements are prepared again."""
        self._names.clear()


class Statement(NamedTuple):
    """A statement with its parameters, which its SQL numbers from $1, and their formats; without any all are text."""

    sql: bytes
    parameters: Sequence[bytes] = ()
    formats: Sequence[int] | None = None


def settings_statements(settings: Mapping[str, str]) -> list[Statement]:
    """Return the statement that sets server settings until the end of the transaction.

    They are not given when a session begins, because a pooler would drop them there.
    """
    calls = (f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    return [Statement(f"SELECT {', '.join(calls)}".encode())]


def settings_statements_for_nodes(settings: Mapping[str, str]) -> list[Statement]:
    """Return statements that do so on the nodes of Citus as well, which take only SET LOCAL from its coordinator."""
    propagated = {"citus.propagate_set_commands": "local", **settings}
    return [Statement(f"SET LOCAL {name} = '{value}'".encode()) for name, value in propagated.items()]


def run_statements(
    connection: Connection, statements: Sequence[Statement], *, commit: bool = False
) -> list[list[tuple[Any, ...]]]:
    """Run statements in the connection's transaction, which is begun if necessary; return each one's rows.

    A transaction that is begun here gets the brand's schema and the connection's TRANSACTION_SETTINGS in the same round
    trip.

    With `commit` the transaction is committed after the last one, in the same round trip; if a statement fails, it is
    not. Raises psycopg's errors; the transaction must be rolled back then.
    """
    driver: Any = connection.connection.driver_connection
    pgconn = driver.pgconn
    before: list[Statement] = []
    prepared: PreparedStatements | None = connection.info.get(PREPARED)
    if pgconn.transaction_status == pq.TransactionStatus.IDLE and not driver.autocommit:
        if prepared is not None and prepared.are_too_many:
            _deallocate(driver, prepared)
        before.append(Statement(_begin_command(driver)))
        if has_brand_schemas(connection.engine):
            before.append(Statement(choose_schema(current_schema(connection)).encode()))
        before += connection.info.get(TRANSACTION_SETTINGS, ())
    after = [Statement(_COMMIT)] if commit else []
    pipeline = _PipelineUse(driver, prepared, current_schema(connection))
    pgconn.enter_pipeline_mode()
    try:
        results = pipeline.run([*before, *statements, *after])
    finally:
        if pgconn.status == pq.ConnStatus.OK:
            pgconn.exit_pipeline_mode()
    transformer: Any = Transformer(driver)
    return [_rows(transformer, result) for result in results[len(before) : len(before) + len(statements)]]


def _deallocate(driver: BoundedConnection, prepared: PreparedStatements) -> None:
    """Deallocate the prepared statements on the server. The connection must not be in a transaction."""
    driver.pgconn.send_query(b"DEALLOCATE ALL")
    driver.wait(generators.execute(driver.pgconn))
    prepared.clear()


def _begin_command(driver: Any) -> bytes:
    parts = ["BEGIN"]
    if driver.isolation_level is not None:
        parts.append(f"ISOLATION LEVEL {psycopg.IsolationLevel(driver.isolation_level).name.replace('_', ' ')}")
    if driver.read_only:
        parts.append("READ ONLY")
    return " ".join(parts).encode()


def _rows(transformer: Any, result: Any) -> list[tuple[Any, ...]]:
    if result.status != pq.ExecStatus.TUPLES_OK or not result.ntuples:
        return []
    transformer.set_pgresult(result)
    rows: list[tuple[Any, ...]] = transformer.load_rows(0, result.ntuples, tuple)
    return rows


class _PipelineUse:
    """One use of a connection's pipeline."""

    def __init__(self, driver: BoundedConnection, prepared: PreparedStatements | None, schema: str | None) -> None:
        self._driver = driver
        self._pgconn: Any = driver.pgconn
        self._wait_until = clock.monotonic() + driver.seconds_to_wait()
        self._prepared = prepared
        self._schema = schema
        # Whether each result that is to come is of a statement, or only of its preparation.
        self._expected: list[bool] = []

    def run(self, statements: Sequence[Statement]) -> list[Any]:
        """Send all statements, and return their results. Raises psycopg's error for the first one that failed."""
        for statement in statements:
            self._send(statement)
        self._pgconn.pipeline_sync()
        self._flush()
        received, failed = self._receive()
        if failed is not None:
            raise self._error(failed)
        return [result for result, is_wanted in zip(received, self._expected, strict=True) if is_wanted]

    def _send(self, statement: Statement) -> None:
        if self._prepared is None:
            self._pgconn.send_query_params(statement.sql, statement.parameters, param_formats=statement.formats)
        else:
            name = self._prepared.name_of(self._schema, statement.sql)
            if name is None:
                name = self._prepared.add(self._schema, statement.sql)
                self._pgconn.send_prepare(name, statement.sql)
                self._expected.append(False)
            self._pgconn.send_query_prepared(name, statement.parameters, param_formats=statement.formats)
        self._expected.append(True)

    def _flush(self) -> None:
        """Send what is buffered; what the server sends meanwhile is read, or both sides would wait for each other."""
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            self._pgconn.consume_input()

    def _receive(self) -> tuple[list[Any], Any]:
        """Return the results up to the end of the pipeline, and the first that is an error."""
        received: list[Any] = []
        failed = None
        while True:
            while self._pgconn.is_busy():
                self._wait(select.POLLIN)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:  # the end of one statement's results
                if self._pgconn.status != pq.ConnStatus.OK:
                    raise psycopg.OperationalError("the connection is lost")
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return received, failed
            if failed is None and result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
            received.append(result)

    def _wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._pgconn.socket, events)
        seconds = self._wait_until - clock.monotonic()
        if not poll.poll(None if math.isinf(seconds) else max(seconds, 0) * 1000):
            raise self._driver.lose()

    def _error(self, failed: Any) -> psycopg.Error:
        error = errors.error_from_result(failed)
        if error.sqlstate is None:
            return psycopg.OperationalError(str(error))
        if self._prepared is not None and error.sqlstate in _UNUSABLE:
            self._prepared.clear()
        return error
