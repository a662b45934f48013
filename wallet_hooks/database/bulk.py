"""Statements over sets of rows: however many rows go in, it stays one statement.

A statement is written with SQLAlchemy Core over the tables, once, and compiled once per dialect. PostgreSQL takes each
column of a set as one array, SQLite the whole set as one JSON document; the types come from the tables' columns. This
is the path that takes bets: texts are prepared once, reads travel together in a pipeline, and writes as one statement.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    TableClause,
    Uuid,
    and_,
    column,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable, Select
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from wallet_hooks.database.array_literals import array_literal
from wallet_hooks.database.tables import UTCDateTime, WideAmount, as_day, as_instant

Row = TypeVar("Row")
Values = Sequence[Sequence[Any]]

# The first that fits: small and big integers are integers too.
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (SmallInteger, "smallint"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (DateTime, "timestamptz"),
    (Date, "date"),
    (LargeBinary, "bytea"),
    (Boolean, "boolean"),
    (Uuid, "uuid"),  # as 32 hex digits
    (String, "text"),
)


class RowSet(TableClause):
    """A set of rows that a statement is given, to be used in it like a table.

    Its columns have the names and types of the columns given, those given by keyword the keyword's name.
    """

    inherit_cache = False

    def __init__(self, name: str, *columns: Any, **renamed: Any) -> None:
        named = {one.name: one for one in columns} | renamed
        super().__init__(name, *(column(name, one.type) for name, one in named.items()))
        self.names = list(named)
        self.kinds = [_kind(one.type) for one in named.values()]

    @classmethod
    def of(cls, name: str, model: Any, row: Any, **renamed: Any) -> "RowSet":
        """A set of a row type's fields: columns of the model, but for those given by keyword."""
        return cls(
            name, **{field: renamed[field] if field in renamed else getattr(model, field) for field in field_names(row)}
        )

    def matches(self, model: Any) -> ColumnElement[bool]:
        """Whether a row of the model has the values of the set's columns."""
        return and_(*(getattr(model, name) == self.c[name] for name in self.names))


class BulkCall(NamedTuple, Generic[Row]):
    """A statement with the rows that it is to work on, each in the order of the set's columns."""

    statement: "BulkStatement[Row]"
    rows: Values


class BulkStatement(Generic[Row]):
    """A statement over one set of rows.

    `build` gives the statement; it takes the module of SQLAlchemy's dialect, whose `insert` knows ON CONFLICT. What a
    statement selects or returns comes as `row`, a NamedTuple or dataclass whose fields are the selected columns' names.
    With `outer`, rows whose first column is None are left out: of a set that was joined outer, what was not found.
    """

    def __init__(
        self,
        given: RowSet,
        build: Callable[[Any], Executable],
        *,
        row: Callable[..., Row] | None = None,
        outer: bool = False,
    ) -> None:
        self.given = given
        self._build = build
        self._row = row
        self._outer = outer

    def __call__(self, rows: Values) -> BulkCall[Row]:
        return BulkCall(self, rows)

    @property
    def returns_rows(self) -> bool:
        return self._row is not None

    @cache  # noqa: B019 - statements are module constants, they live as long as the process
    def sql(self, dialect_name: str) -> str:
        """The statement's text; PostgreSQL numbers its parameters from $1."""
        module, dialect = _DIALECTS[dialect_name]
        statement = self._build(module)
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]

    @cache  # noqa: B019
    def _readers(self, dialect_name: str) -> list[tuple[int, Callable[[Any], Any]]]:
        """What turns a driver's value into the column's, by its place, for columns that need it."""
        statement = self._build(_DIALECTS[dialect_name][0])
        assert isinstance(statement, Select | UpdateBase)
        columns = list(statement.selected_columns if isinstance(statement, Select) else statement.exported_columns)
        assert [one.name for one in columns] == field_names(self._row), "a row has the names that are selected"
        found = ((place, _reader(one.type, dialect_name)) for place, one in enumerate(columns))
        return [(place, reader) for place, reader in found if reader is not None]

    def read(self, rows: Sequence[Sequence[Any]], dialect_name: str) -> list[Row]:
        """The driver's rows, typed."""
        assert self._row is not None, "a statement that returns rows says as what"
        readers = self._readers(dialect_name)
        make, found = self._row, []
        for values in rows:
            if self._outer and values[0] is None:
                continue
            if readers:
                values = list(values)  # noqa: PLW2901
                for place, reader in readers:
                    if values[place] is not None:
                        values[place] = reader(values[place])
            found.append(make(*values))
        return found


def inserting(given: RowSet, model: Any, *, unless_known_by: Sequence[str] = ()) -> BulkStatement[Any]:
    """A statement that inserts its rows; those whose unique columns (`unless_known_by`) are taken are left out."""

    def build(dialect: Any) -> Any:
        # Without WHERE, SQLite would read ON CONFLICT as part of the SELECT.
        insert = dialect.insert(model).from_select(given.names, select(*given.c).where(true()))
        return insert.on_conflict_do_nothing(index_elements=unless_known_by) if unless_known_by else insert

    return BulkStatement(given, build)


def finding(given: RowSet, model: Any, row: Callable[..., Row]) -> BulkStatement[Row]:
    """A statement that reads, as `row`, the model's rows that have the values of its set's columns."""
    return BulkStatement(
        given,
        lambda _: select(*columns_of(model, row)).select_from(given.join(model, given.matches(model))),
        row=row,
    )


class Pending(Generic[Row]):
    """The rows of a call, there once its pipeline has run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []


class Pipeline:
    """Calls that travel together. Each sees what those before it did, and what others committed while it waited."""

    def __init__(self) -> None:
        self._calls: list[tuple[BulkCall[Any], Pending[Any]]] = []

    def add(self, call: BulkCall[Row]) -> Pending[Row]:
        """Add a call; one without rows is not sent, and finds nothing."""
        pending: Pending[Row] = Pending()
        if call.rows:
            self._calls.append((call, pending))
        return pending

    def run(self, connection: Connection) -> None:
        if not self._calls:
            return
        driver = connection.connection.driver_connection
        run = _run_on_postgresql if isinstance(driver, psycopg.Connection) else _run_on_sqlite
        for (call, pending), rows in zip(self._calls, run(driver, [call for call, _ in self._calls]), strict=True):
            if call.statement.returns_rows:
                pending.rows = call.statement.read(rows, connection.dialect.name)


@contextmanager
def pipeline(connection: Connection) -> Iterator[Pipeline]:
    """Collect calls in the block and run them at its end, in one round trip where the engine can.

    Errors are the driver's own (see `fault_of`).
    """
    calls = Pipeline()
    yield calls
    calls.run(connection)


def run(connection: Connection, call: BulkCall[Row]) -> list[Row]:
    """Run one call and return its rows."""
    with pipeline(connection) as calls:
        pending = calls.add(call)
    return pending.rows


class Written:
    """How many rows a write returned."""

    def __init__(self) -> None:
        self.count = 0


class Writes:
    """Writes that do not look at each other's rows: one statement where the engine can."""

    def __init__(self) -> None:
        self._calls: list[tuple[BulkCall[Any], Written]] = []

    def add(self, call: BulkCall[Any]) -> Written:
        """Add a write; one without rows is not sent."""
        written = Written()
        if call.rows:
            self._calls.append((call, written))
        return written

    def run(self, connection: Connection) -> None:
        if not self._calls:
            return
        calls = [call for call, _ in self._calls]
        driver = connection.connection.driver_connection
        if isinstance(driver, psycopg.Connection):
            parameters = [parameter for call in calls for parameter in _arrays(call)]
            cursor = psycopg.RawCursor(driver)
            counts = cursor.execute(_as_one(tuple(call.statement for call in calls)), parameters).fetchone()
            assert counts is not None
        else:
            counts = tuple(map(len, _run_on_sqlite(driver, calls)))
        for (_, written), count in zip(self._calls, counts, strict=True):
            written.count = count


def write(connection: Connection, call: BulkCall[Any]) -> None:
    """Run one write."""
    writes = Writes()
    writes.add(call)
    writes.run(connection)


def _kind(type_: TypeEngine[Any]) -> str:
    """PostgreSQL's name of a column's type."""
    plain = type_.impl if isinstance(type_, TypeDecorator) else type_
    for known, kind in _KINDS:
        if isinstance(plain, known):
            return kind
    raise TypeError(f"no set of rows has a column of type {type_!r}")


def columns_of(model: Any, row: Any) -> list[Any]:
    """The model's columns that a row type has, in its order."""
    return [getattr(model, name) for name in field_names(row)]


def field_names(row: Any) -> list[str]:
    """The fields of a NamedTuple, or those that a dataclass is made with."""
    if is_dataclass(row):
        return [field.name for field in fields(row) if field.init]
    return list(row._fields)


def _reader(type_: TypeEngine[Any], dialect_name: str) -> Callable[[Any], Any] | None:
    if isinstance(type_, WideAmount):
        return int
    plain = type_.impl if isinstance(type_, TypeDecorator) else type_
    reader: Callable[[Any], Any] | None = None
    if dialect_name == "sqlite":  # whose values are numbers, texts and bytes
        kinds = ((DateTime, as_instant), (Date, as_day), (Boolean, bool), (JSON, json.loads))
        reader = next((reader for known, reader in kinds if isinstance(plain, known)), None)
    if isinstance(type_, TypeDecorator) and not isinstance(type_, UTCDateTime):
        return _decorated(type_, _DIALECTS[dialect_name][1], reader)
    return reader


def _decorated(type_: Any, dialect: Dialect, reader: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """The reader of a type that wraps another one."""
    return lambda value: type_.process_result_value(reader(value) if reader else value, dialect)


@compiles(RowSet, "postgresql")
def _as_arrays(given: RowSet, _compiler: Any, **_: Any) -> str:
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(given.kinds, start=1))
    return f"unnest({arrays}) AS {given.name} ({', '.join(given.names)})"


@compiles(RowSet, "sqlite")
def _as_json(given: RowSet, _compiler: Any, **_: Any) -> str:
    readers = {"bytea": "unhex(value ->> {})"}
    named = enumerate(zip(given.names, given.kinds, strict=True))
    read = (f"{readers.get(kind, 'value ->> {}').format(place)} AS {name}" for place, (name, kind) in named)
    return f"(SELECT {', '.join(read)} FROM json_each(?)) AS {given.name}"


# Their parameters are ours, and constants stand in the text: no statement has other parameters than its set.
_DIALECTS: dict[str, tuple[Any, Dialect]] = {
    "postgresql": (postgresql, postgresql.dialect(paramstyle="numeric_dollar")),  # type: ignore[no-untyped-call]
    "sqlite": (sqlite, sqlite.dialect(paramstyle="qmark")),
}


def _run_on_postgresql(driver: Any, calls: Sequence[BulkCall[Any]]) -> list[Sequence[Any]]:
    cursors = []
    with driver.pipeline():
        for call in calls:
            cursor = psycopg.RawCursor(driver)
            cursors.append(cursor.execute(call.statement.sql("postgresql").encode(), _arrays(call)))
    return [
        cursor.fetchall() if call.statement.returns_rows else [] for call, cursor in zip(calls, cursors, strict=True)
    ]


def _run_on_sqlite(driver: Any, calls: Sequence[BulkCall[Any]]) -> list[Sequence[Any]]:
    return [driver.execute(call.statement.sql("sqlite"), [_encode_json(call.rows)]).fetchall() for call in calls]


def _arrays(call: BulkCall[Any]) -> list[str]:
    kinds = call.statement.given.kinds
    columns = zip(*call.rows, strict=True) if call.rows else ((),) * len(kinds)
    return list(map(array_literal, kinds, columns))


@cache
def _as_one(statements: tuple[BulkStatement[Any], ...]) -> bytes:
    """One statement whose common table expressions are the writes. Their triggers see all that it wrote."""
    parts, counts, first = [], [], 0
    for number, statement in enumerate(statements):
        text = _numbered_after(first, statement.sql("postgresql"))
        first += len(statement.given.kinds)
        parts.append(f"w{number} AS ({text})")
        counts.append(f"(SELECT count(*) FROM w{number})" if statement.returns_rows else "0")
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}".encode()


def _numbered_after(first: int, sql: str) -> str:
    """The statement with its parameters numbered after those of the statements before it."""
    return re.sub(r"\$(\d+)", lambda match: f"${int(match[1]) + first}", sql)


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")  # as SQLAlchemy writes it
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no SQLite value for {type(value)}")


_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_json_value).encode
