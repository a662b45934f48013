"""Rows by the million: read by the driver itself, a batch at a time, with flat memory."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import psycopg
from sqlalchemy.orm import Session

_BATCH = 10_000


def stream_rows(
    session: Session, statement: str, readers: Mapping[int, Callable[[str], Any]]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement without parameters, in the session's transaction.

    `readers` turn what SQLite keeps as text, by the column's index, into what it is.
    """
    connection = session.connection().connection.driver_connection
    if isinstance(connection, psycopg.Connection):
        with connection.cursor("stream_rows", binary=True) as cursor:
            cursor.itersize = _BATCH
            yield from cursor.execute(statement.encode())
        return
    rows = cast("Any", connection).execute(statement)
    for row in rows:
        yield tuple(readers[index](value) if index in readers else value for index, value in enumerate(row))
