"""Bulk statements: one SQL statement for a set of rows of any size.

A statement is written once with SQLAlchemy Core and compiled once per dialect. PostgreSQL gets each column of a set as
one array, SQLite the set as one JSON document; the types come from the tables' columns. This is the path that takes
bets: statements are prepared once, reads are sent together in a pipeline, and writes (`writes`) as one statement.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, field, fields, is_dataclass, make_dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import starmap
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from psycopg import pq
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
    Table,
    TableClause,
    UniqueConstraint,
    Uuid,
    and_,
    column,
    false,
    func,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import Executable, Select
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from wallet_hooks.database.array_literals import array_literals, is_binary
from wallet_hooks.database.pipelines import Statement, run_statements
from wallet_hooks.database.tables import Base, UTCDateTime, WideAmount, as_day, as_instant

Row = TypeVar("Row")
Values = Sequence[Sequence[Any]]

# The first match counts: small and big integers are subclasses of Integer.
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (SmallInteger, "smallint"),
    (BigInteger, "bigint"),
    (Integer, "integer"),
    (DateTime, "timestamptz"),
    (Date, "date"),
    (LargeBinary, "bytea"),
    (Boolean, "boolean"),
    (Uuid, "uuid"),  # as 32 hex digits
    (JSON, "json"),
    (String, "text"),
)


class RowSet(TableClause):
    """A set of rows that is the input of a statement, used in it like a table.

    Its columns have the names and types of the given columns; a column given by keyword has the keyword's name.
    """

    inherit_cache = False

    def __init__(self, name: str, *columns: Any, **renamed: Any) -> None:
        named = {one.name: one for one in columns} | renamed
        super().__init__(name, *(column(name, one.type) for name, one in named.items()))
        self.names = list(named)
        self.kinds = [_kind(one.type) for one in named.values()]
        # Of the set's columns as parameters for PostgreSQL.
        self.formats = [pq.Format.BINARY if is_binary(kind) else pq.Format.TEXT for kind in self.kinds]

    @classmethod
    def of(cls, name: str, model: Any, row: Any, **renamed: Any) -> "RowSet":
        """Return a set with a row type's fields as columns, taken from the model unless given by keyword."""
        return cls(
            name, **{field: renamed[field] if field in renamed else getattr(model, field) for field in field_names(row)}
        )

    def matches(self, model: Any) -> ColumnElement[bool]:
        """Return the SQL condition that a row of the model has the values of the set's columns."""
        return and_(*(getattr(model, name) == self.c[name] for name in self.names))


class BulkCall(NamedTuple, Generic[Row]):
    """A statement with its input rows, each in the order of the set's columns."""

    statement: "BulkStatement[Row]"
    rows: Values


class BulkStatement(Generic[Row]):
    """A statement over one set of rows.

    `build` returns the statement; its argument is the module of SQLAlchemy's dialect, whose `insert` supports ON
    CONFLICT. Result rows are returned as `row`, a NamedTuple or dataclass whose fields are the selected columns' names.
    """

    def __init__(
        self,
        given: RowSet,
        build: Callable[[Any], Executable],
        *,
        row: Callable[..., Row] | None = None,
    ) -> None:
        self.given = given
        self._build = build
        self._row = row

    def __call__(self, rows: Values) -> BulkCall[Row]:
        return BulkCall(self, rows)

    @property
    def returns_rows(self) -> bool:
        return self._row is not None

    @cache  # noqa: B019 - statements are module constants, they live as long as the process
    def sql(self, dialect_name: str) -> str:
        """Return the statement's SQL; on PostgreSQL its parameters are numbered from $1."""
        module, dialect = _DIALECTS[dialect_name]
        statement = self._build(module)
        return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]

    @cache  # noqa: B019
    def encoded_sql(self) -> bytes:
        """Return the statement for PostgreSQL, as it is sent."""
        return self.sql("postgresql").encode()

    @cache  # noqa: B019
    def _readers(self, dialect_name: str) -> list[tuple[int, Callable[[Any], Any]]]:
        """Return (index, converter) for each result column whose driver value must be converted."""
        statement = self._build(_DIALECTS[dialect_name][0])
        assert isinstance(statement, Select | UpdateBase)
        columns = list(statement.selected_columns if isinstance(statement, Select) else statement.exported_columns)
        assert [one.name for one in columns] == field_names(self._row), "row fields must be the selected columns"
        found = ((place, _reader(one.type, dialect_name)) for place, one in enumerate(columns))
        return [(place, reader) for place, reader in found if reader is not None]

    def read(self, rows: Sequence[Sequence[Any]], dialect_name: str) -> list[Row]:
        """Return the driver's rows, converted to the row type."""
        assert self._row is not None, "a statement that returns rows needs a row type"
        readers = self._readers(dialect_name)
        if readers:
            rows = [_converted(values, readers) for values in rows]
        return list(starmap(self._row, rows))


def _converted(values: Sequence[Any], readers: Sequence[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    converted = list(values)
    for place, reader in readers:
        if converted[place] is not None:
            converted[place] = reader(converted[place])
    return converted


def insert_rows(given: RowSet, model: type[Base], *, skip_existing: bool = False) -> BulkStatement[Any]:
    """Return an INSERT of the set's rows; with `skip_existing` it skips those whose unique key is there already."""

    def build(dialect: Any) -> Any:
        insert = insert_from(dialect, given, model)
        return insert.on_conflict_do_nothing(index_elements=unique_key(model)) if skip_existing else insert

    return BulkStatement(given, build)


def unique_key(model: type[Base]) -> list[str]:
    """Return the columns for ON CONFLICT: those of the table's one unique constraint, or else of its primary key."""
    table = model.__table__
    assert isinstance(table, Table)
    unique = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    assert len(unique) <= 1, "which of several unique constraints is meant is not known here"
    return [one.name for one in (unique[0] if unique else table.primary_key).columns]


def insert_from(dialect: Any, given: RowSet, model: Any) -> Any:
    """Return an INSERT of the set's rows, to which the dialect's ON CONFLICT can be added."""
    # Without WHERE, SQLite would read ON CONFLICT as part of the SELECT.
    return dialect.insert(model).from_select(given.names, select(*given.c).where(true()))


def update_rows(given: RowSet, model: type[Base]) -> BulkStatement[Any]:
    """Return an UPDATE of the rows with the set's values of the primary key, to the values of its other columns."""
    key = [one.name for one in model.__table__.primary_key]
    return BulkStatement(
        given,
        lambda _: (
            update(model)
            .where(*(getattr(model, name) == given.c[name] for name in key))
            .values({name: given.c[name] for name in given.names if name not in key})
        ),
    )


def find_rows(given: RowSet, model: Any, row: Callable[..., Row]) -> BulkStatement[Row]:
    """Return a SELECT of the model's rows, as `row`, that have the values of the set's columns."""
    return BulkStatement(given, lambda _: select_rows(given, model, row), row=row)


def select_rows(given: RowSet, model: Any, row: Any) -> Select[Any]:
    """Return the statement of `find_rows`, to which conditions, an order or locks can be added."""
    return select(*columns_of(model, row)).select_from(given.join(model, given.matches(model)))


def look_up_rows(given: RowSet, model: Any, row: Callable[..., Row]) -> BulkStatement[Row]:
    """Return the statement of `find_rows` for a table that grows: each row is looked up, whatever the statistics say.

    A plan made for a small table would scan it and look up the set's rows. PostgreSQL cannot do so for an outer join,
    nor make it an inner one, because it does not know that the condition refuses what matched nothing.
    """
    matches = given.matches(model)
    found = select(*columns_of(model, row)).select_from(given.outerjoin(model, matches))
    query = found.where(func.coalesce(matches, false()))
    return BulkStatement(given, lambda _: query, row=row)


class PendingRows(Generic[Row]):
    """The result rows of a call, filled in when its pipeline has run."""

    def __init__(self) -> None:
        self.rows: list[Row] = []


class Pipeline:
    """Calls that are sent together. Each sees the effects of earlier calls, and what others committed before it ran."""

    def __init__(self) -> None:
        self._calls: list[tuple[BulkCall[Any], PendingRows[Any]]] = []

    def add(self, call: BulkCall[Row]) -> PendingRows[Row]:
        """Add a call; a call without rows is not sent and has no result rows."""
        pending: PendingRows[Row] = PendingRows()
        if call.rows:
            self._calls.append((call, pending))
        return pending

    def run(self, connection: Connection) -> None:
        if not self._calls:
            return
        calls = [call for call, _ in self._calls]
        results: Sequence[Sequence[Any]]
        if connection.dialect.name == "postgresql":
            statements = [
                Statement(call.statement.encoded_sql(), arrays_of(call), call.statement.given.formats) for call in calls
            ]
            results = run_statements(connection, statements)
        else:
            results = run_on_sqlite(connection.connection.driver_connection, calls)
        for (call, pending), rows in zip(self._calls, results, strict=True):
            if call.statement.returns_rows:
                pending.rows = call.statement.read(rows, connection.dialect.name)


@contextmanager
def pipeline(connection: Connection) -> Iterator[Pipeline]:
    """Collect calls in the block and run them at its end, on PostgreSQL in one round trip.

    Raises the driver's own errors (see `fault_of`).
    """
    calls = Pipeline()
    yield calls
    calls.run(connection)


def run(connection: Connection, call: BulkCall[Row]) -> list[Row]:
    """Run one call and return its result rows."""
    with pipeline(connection) as calls:
        pending = calls.add(call)
    return pending.rows


def _kind(type_: TypeEngine[Any]) -> str:
    """Return PostgreSQL's name of a column's type. Raises TypeError for a type that bulk statements do not support."""
    plain = type_.impl if isinstance(type_, TypeDecorator) else type_
    for known, kind in _KINDS:
        if isinstance(plain, known):
            return kind
    raise TypeError(f"bulk statements do not support columns of type {type_!r}")


def columns_of(model: Any, row: Any) -> list[Any]:
    """Return the model's columns for a row type's fields, in their order."""
    return [getattr(model, name) for name in field_names(row)]


def plain_class(model: type[Base]) -> type[Any]:
    """Return a dataclass with the columns of a model as fields, whose objects the ORM does not track.

    A column that may be NULL is None by default.
    """
    columns: list[tuple[str, Any, Any]] = []
    for one in model.__table__.columns:
        default = None if one.nullable else one.default.arg if one.default is not None else MISSING
        columns.append((one.name, Any, field(default=default)))
    return make_dataclass(f"{model.__name__}Columns", columns, slots=True)


def field_names(row: Any) -> list[str]:
    """Return the field names of a NamedTuple, or a dataclass's fields that its constructor takes."""
    if is_dataclass(row):
        return [field.name for field in fields(row) if field.init]
    return list(row._fields)


def _reader(type_: TypeEngine[Any], dialect_name: str) -> Callable[[Any], Any] | None:
    if isinstance(type_, WideAmount):
        return int
    if isinstance(type_, Uuid) and dialect_name == "postgresql":
        return attrgetter("hex")
    plain = type_.impl if isinstance(type_, TypeDecorator) else type_
    reader: Callable[[Any], Any] | None = None
    if dialect_name == "sqlite":  # it returns only numbers, text and bytes
        kinds = ((DateTime, as_instant), (Date, as_day), (Boolean, bool), (JSON, json.loads))
        reader = next((reader for known, reader in kinds if isinstance(plain, known)), None)
    if isinstance(type_, TypeDecorator) and not isinstance(type_, UTCDateTime):
        return _decorated(type_, _DIALECTS[dialect_name][1], reader)
    return reader


def _decorated(type_: Any, dialect: Dialect, reader: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Return the converter for a TypeDecorator."""
    return lambda value: type_.process_result_value(reader(value) if reader else value, dialect)


@compiles(RowSet, "postgresql")
def _as_arrays(given: RowSet, _compiler: Any, **_: Any) -> str:
    # Among the columns, all `unnest` go on together. As a table, one with several arrays is stored before it is read.
    named = enumerate(zip(given.names, given.kinds, strict=True), start=1)
    columns = ", ".join(f"unnest(${number}::{kind}[]) AS {name}" for number, (name, kind) in named)
    return f"(SELECT {columns}) AS {given.name}"


@compiles(RowSet, "sqlite")
def _as_json(given: RowSet, _compiler: Any, **_: Any) -> str:
    readers = {"bytea": "unhex(value ->> {})"}
    named = enumerate(zip(given.names, given.kinds, strict=True))
    read = (f"{readers.get(kind, 'value ->> {}').format(place)} AS {name}" for place, (name, kind) in named)
    return f"(SELECT {', '.join(read)} FROM json_each(?)) AS {given.name}"


# Constants are rendered into the SQL, so that the set of rows is a statement's only parameter.
_DIALECTS: dict[str, tuple[Any, Dialect]] = {
    "postgresql": (postgresql, postgresql.dialect(paramstyle="numeric_dollar")),  # type: ignore[no-untyped-call]
    "sqlite": (sqlite, sqlite.dialect(paramstyle="qmark")),
}


def run_on_sqlite(driver: Any, calls: Sequence[BulkCall[Any]]) -> list[Sequence[Any]]:
    """Run calls one after the other, and return the rows of each, which for SQLite are plain tuples."""
    return [driver.execute(call.statement.sql("sqlite"), [_encode_json(call.rows)]).fetchall() for call in calls]


def arrays_of(call: BulkCall[Any]) -> list[bytes]:
    """Return a call's parameters for PostgreSQL, one array a column, in the formats of the call's set."""
    return list(array_literals(call.statement.given.kinds, list(zip(*call.rows, strict=True))))


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")  # as SQLAlchemy writes it
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no SQLite value for {type(value)}")


_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_json_value).encode
