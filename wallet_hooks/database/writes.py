"""Sets of bulk writes: sent together, their numbers of rows checked, and the last ones sent with the COMMIT."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from sqlalchemy import Connection, Engine

from wallet_hooks.database.bulk import BulkCall, BulkStatement, arrays_of, run_on_sqlite
from wallet_hooks.database.pipelines import Statement, run_statements

# Key of the writes that travel with the COMMIT, among the facts of a connection that is in a `transaction`.
_LAST_WRITES = "wallet_hooks_last_writes"
_INSTEAD_OF = " rows changed instead of "
_WRONG_COUNT = re.compile(rf"\d+{_INSTEAD_OF}\d+")


class RowCountError(Exception):
    """A write changed another number of rows than it must."""


class Writes:
    """Writes that do not depend on each other's rows: on PostgreSQL they are sent as one statement."""

    def __init__(self) -> None:
        self._calls: list[_Write] = []

    def add(self, call: BulkCall[Any], *, expected: int | None = None) -> None:
        """Add a write; a write without rows is not sent. It must return `expected` rows, if that is given."""
        if call.rows:
            self._calls.append(_Write(call, expected))

    def run(self, connection: Connection) -> None:
        """Run the writes. Raises RowCountError, if one returns another number of rows than expected."""
        self._run(connection, commit=False)

    def run_last(self, connection: Connection) -> None:
        """Run the writes with the COMMIT of the `transaction` that the connection is in; outside one, run them now."""
        last = connection.info.get(_LAST_WRITES)
        if last is None:
            self.run(connection)
        else:
            last.append(self)

    def run_and_commit(self, connection: Connection) -> None:
        """Run the writes and, on PostgreSQL, commit in the same round trip; the caller commits afterwards anyway."""
        self._run(connection, commit=True)

    def _run(self, connection: Connection, *, commit: bool) -> None:
        if not self._calls:
            return
        calls = [call for call, _ in self._calls]
        if connection.dialect.name == "postgresql":
            parameters = [parameter for call in calls for parameter in arrays_of(call)]
            checked = [(number, expected) for number, (_, expected) in enumerate(self._calls) if expected is not None]
            sql, formats = _as_one(tuple(call.statement for call in calls), tuple(number for number, _ in checked))
            parameters += [str(expected).encode() for _, expected in checked]
            try:
                run_statements(connection, [Statement(sql, parameters, formats)], commit=commit)
            except psycopg.errors.InvalidTextRepresentation as error:
                if (wrong_count := _WRONG_COUNT.search(str(error))) is None:
                    raise
                raise RowCountError(wrong_count[0]) from error
        else:
            found = map(len, run_on_sqlite(connection.connection.driver_connection, calls))
            for (_, expected), count in zip(self._calls, found, strict=True):
                if expected is not None and count != expected:
                    raise RowCountError(f"{count}{_INSTEAD_OF}{expected}")


class _Write(NamedTuple):
    call: BulkCall[Any]
    expected: int | None


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a database transaction: committed when the block ends, rolled back if it raises.

    Its last writes (`Writes.run_last`) travel with the COMMIT.
    """
    with engine.begin() as connection:
        last: list[Writes] = []
        facts = connection.info  # `connection.info` cannot be read once the connection is lost
        facts[_LAST_WRITES] = last
        try:
            yield connection
        finally:
            facts.pop(_LAST_WRITES, None)
        for writes in last[:-1]:
            writes.run(connection)
        if last:
            last[-1].run_and_commit(connection)


def await_standby(connection: Connection) -> None:
    """Make the COMMIT of a transaction that only reads wait for a synchronous standby, as those before it had to.

    It may have read what the standby does not have yet: a COMMIT that was interrupted while it waited for the standby
    is visible to others all the same.
    """
    if connection.dialect.name == "postgresql":
        run_statements(connection, [Statement(b"SELECT pg_logical_emit_message(true, 'wallet_hooks', '')")])


def write(connection: Connection, call: BulkCall[Any]) -> None:
    """Run one write."""
    writes = Writes()
    writes.add(call)
    writes.run(connection)


@cache
def _as_one(statements: tuple[BulkStatement[Any], ...], checked: tuple[int, ...]) -> tuple[bytes, list[int]]:
    """Return one statement with the writes as common table expressions, and the formats of its parameters.

    The writes' triggers see all rows that it wrote. The numbers of rows that those at the positions `checked` return
    must be the last parameters.
    """
    parts: list[str] = []
    formats: list[int] = []
    for number, statement in enumerate(statements):
        text = _numbered_after(len(formats), statement.sql("postgresql"))
        formats += statement.given.formats
        parts.append(f"w{number} AS ({text})")
    checks = [
        # Reading the message as a number fails, and so does the statement.
        f"CASE (SELECT count(*) FROM w{number}) WHEN ${place}::bigint THEN 0 "
        f"ELSE ((SELECT count(*) FROM w{number}) || '{_INSTEAD_OF}' || ${place}::bigint)::integer END"
        for place, number in enumerate(checked, start=len(formats) + 1)
    ]
    sql = f"WITH {', '.join(parts)} SELECT {', '.join(checks) or '0'}"
    return sql.encode(), formats + [pq.Format.TEXT] * len(checks)


def _numbered_after(first: int, sql: str) -> str:
    """Return the SQL with parameter numbers shifted by `first`, the number of parameters before it."""
    return re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + first}", sql)
