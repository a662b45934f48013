"""Statements over sets of rows: however many rows go in, it stays one statement.

PostgreSQL takes each column of a set as one array, SQLite the whole set as one JSON document. This is the path that
takes bets, so texts are prepared once, and the calls of a group travel together (PostgreSQL's pipeline).
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, NamedTuple, cast

import psycopg
from sqlalchemy.orm import Session

Row = Sequence[Any]


class Call(NamedTuple):
    """A statement with the sets of rows that it is to work on, in the order of the statement's sets."""

    statement: "RowStatement"
    sets: Sequence[Sequence[Row]]


class Either(NamedTuple):
    """A piece of SQL that the engines spell differently."""

    postgresql: str
    sqlite: str


def for_update(alias: str) -> Either:
    """Locks the rows of a table until the transaction ends; SQLite has one writer at a time instead."""
    return Either(f"FOR NO KEY UPDATE OF {alias}", "")


class RowStatement:
    """SQL that names sets of rows in braces, each with its columns and their types.

    `RowStatement("SELECT c.id FROM {asked} JOIN customer c USING (uid)", asked={"uid": "text"})`

    Types: text, smallint, integer, bigint, bytea, timestamptz, date, uuid (as 32 hex digits). A name in braces may
    also stand for `Either` of two spellings.
    """

    def __init__(self, sql: str, **parts: dict[str, str] | Either) -> None:
        self.returns_rows = "RETURNING" in sql or sql.startswith("SELECT")
        self.columns: list[list[str]] = []
        spelled = {name: part for name, part in parts.items() if isinstance(part, Either)}
        for name, part in parts.items():
            if not isinstance(part, Either):
                self.columns.append(list(part.values()))
                spelled[name] = Either(_postgresql_set(name, part), _sqlite_set(name, part))
        self.postgresql = sql.format(**{name: either.postgresql for name, either in spelled.items()}).encode()
        self.sqlite = sql.format(**{name: either.sqlite for name, either in spelled.items()})

    def __call__(self, *sets: Sequence[Row]) -> Call:
        assert len(sets) == len(self.columns), "as many sets of rows as the statement names"
        return Call(self, sets)


def run_together(session: Session, calls: Iterable[Call]) -> list[list[tuple[Any, ...]]]:
    """Run the calls in order, in the session's transaction, in one round trip where the engine can.

    Returns each call's rows. Errors are the driver's own (see `fault_of`). Each call sees what those before it did,
    and what others committed while it waited for their locks.
    """
    connection = session.connection().connection.driver_connection
    if isinstance(connection, psycopg.Connection):
        return _run_pipelined(connection, calls)
    results = []
    for call in calls:
        cursor = cast("Any", connection).execute(call.statement.sqlite, _sqlite_parameters(call))
        results.append(cursor.fetchall())
    return results


def write_at_once(session: Session, calls: Sequence[Call]) -> list[int | None]:
    """Run writes that do not look at each other, in the session's transaction; as one statement where the engine can.

    Returns for each call how many rows it returned, None for one that returns none.
    """
    connection = session.connection().connection.driver_connection
    if isinstance(connection, psycopg.Connection):
        parameters = [parameter for call in calls for parameter in _postgresql_parameters(call)]
        row = connection.execute(_as_one(tuple(call.statement for call in calls)), parameters).fetchone()
        assert row is not None
        return list(row)
    results = run_together(session, calls)
    return [len(rows) if call.statement.returns_rows else None for call, rows in zip(calls, results, strict=True)]


@cache
def _as_one(statements: tuple[RowStatement, ...]) -> bytes:
    """One statement whose common table expressions are the writes. Their triggers see all that it wrote."""
    parts = [f"w{number} AS (".encode() + one.postgresql + b")" for number, one in enumerate(statements)]
    counts = [
        f"(SELECT count(*) FROM w{number})" if one.returns_rows else "NULL" for number, one in enumerate(statements)
    ]
    return b"WITH " + b", ".join(parts) + f" SELECT {', '.join(counts)}".encode()


def _run_pipelined(
    connection: "psycopg.Connection[tuple[Any, ...]]", calls: Iterable[Call]
) -> list[list[tuple[Any, ...]]]:
    with connection.pipeline():
        sent = [
            (call.statement, connection.execute(call.statement.postgresql, _postgresql_parameters(call)))
            for call in calls
        ]
    return [cursor.fetchall() if statement.returns_rows else [] for statement, cursor in sent]


def _postgresql_set(name: str, columns: dict[str, str]) -> str:
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    return f"unnest({arrays}) AS {name} ({', '.join(columns)})"


def _sqlite_set(name: str, columns: dict[str, str]) -> str:
    readers = {"bytea": "unhex(value ->> {})"}
    fields = (
        f"{readers.get(kind, 'value ->> {}').format(index)} AS {column}"
        for index, (column, kind) in enumerate(columns.items())
    )
    return f"(SELECT {', '.join(fields)} FROM json_each(?)) AS {name}"


def _postgresql_parameters(call: Call) -> list[str]:
    parameters: list[str] = []
    for kinds, rows in zip(call.statement.columns, call.sets, strict=True):
        columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
        parameters += map(_array, kinds, columns)
    return parameters


def _array(kind: str, column: Sequence[Any]) -> str:
    """An array literal. Columns that are all one value, plain numbers or plain text are most, and go quickly."""
    if not column:
        return "{}"
    first = column[0]
    if column.count(first) == len(column):
        return "{" + ",".join([_element(kind, first)] * len(column)) + "}"
    if kind in _NUMBERS:
        return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"
    if kind == "text" and None not in column:
        joined = '","'.join(column)
        if "\\" not in joined and joined.count('"') == 2 * (len(column) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join([_element(kind, value) for value in column]) + "}"


def _element(kind: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if kind == "text":
        escaped: str = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if kind == "bytea":
        return f'"\\\\x{value.hex()}"'
    return f'"{value.isoformat()}"' if kind == "timestamptz" else str(value)


_NUMBERS = frozenset({"smallint", "integer", "bigint"})


def _sqlite_parameters(call: Call) -> list[str]:
    return [_encode_json(rows) for rows in call.sets]


def _sqlite_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")  # as SQLAlchemy writes it
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no SQLite value for {type(value)}")


_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_sqlite_value).encode
