"""Database transactions: to write, to read a snapshot, repeated after conflicts; with locked rows and streamed ones."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, text
from sqlalchemy.orm import Session

from wallet_hooks.database.brand_schemas import current_schema
from wallet_hooks.database.deadlines import seconds_left
from wallet_hooks.database.faults import DATABASE_ERRORS, RETRIED_FAULTS, Fault, fault_of

_MAX_ATTEMPTS = 3
_CACHE_KEY = "wallet_hooks_cache"
_STREAMED_ROWS = 5000
ONE_PROCESS = "SET LOCAL max_parallel_workers_per_gather = 0"
T = TypeVar("T")
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a database transaction: committed when the block ends, rolled back if it raises."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        yield session


def run_with_retries(act: Callable[[], T]) -> T:
    """Run a function that opens its own database transaction; after a conflict with another one, retry up to twice.

    A retry sees what the other transaction committed. Raises the error of the last attempt.
    """
    for _ in range(_MAX_ATTEMPTS - 1):
        try:
            return act()
        except Exception as error:
            if fault_of(error) not in RETRIED_FAULTS:
                raise
            time.sleep(0.01)
    return act()


def read_with_retries(read: Callable[[], T]) -> T:
    """Run a function that only reads as `run_with_retries` does; if a connection is lost, run it once more on another.

    An open connection may have been lost before. Raises the error of the last attempt.
    """
    try:
        return run_with_retries(read)
    except DATABASE_ERRORS as error:
        if fault_of(error) is not Fault.LOST or seconds_left() <= 0:
            raise
    return run_with_retries(read)


def run_in_batches(engine: Engine, change: Callable[[Session, int], int], *, size: int = 1000) -> int:
    """Run a change of at most `size` rows in transactions of its own until it finds fewer. Return how many it changed.

    `change` gets the session and `size`, and returns how many rows it changed.
    """
    total = 0
    while True:
        with writing(engine) as session:
            count = change(session, size)
        total += count
        if count < size:
            return total


def locked(query: Query, model: type[Any]) -> Query:
    """Return the query with row locks on a model's rows, which are read as they are once the lock is granted."""
    return query.with_for_update(of=model, key_share=True).execution_options(populate_existing=True)


def use_one_process(session: Session) -> None:
    """Have one process of PostgreSQL read in the rest of the transaction: the other processors are for callbacks."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(ONE_PROCESS))


def refresh_statistics(session: Session, *tables: str) -> None:
    """Refresh the planner's statistics after a bulk insert: plans made for empty tables would stay slow."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"ANALYZE {', '.join(tables)}"))


def has_row_locks(engine: Engine) -> bool:
    """Return whether the engine locks single rows; SQLite locks the whole file."""
    return engine.dialect.name == "postgresql"


def shorten_lock_timeout(connection: Connection) -> None:
    """Wait at most 10 ms for each lock in the rest of the database transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '10ms'"))


def lock_table(session: Session, model: type[Any]) -> None:
    """Block writes to a table of PostgreSQL until the transaction ends; wait at most 5 s for those in progress."""
    session.execute(text("SET LOCAL lock_timeout = '5s'"))
    session.execute(text(f"LOCK TABLE {model.__tablename__} IN SHARE ROW EXCLUSIVE MODE"))


def connection_cache(connection: Connection) -> dict[str, Any]:
    """Return the connection's cache, for facts of the database that never change, such as ids of house accounts.

    Each brand's schema has its own. A rollback on the connection clears it, so rows of an uncommitted database
    transaction may be cached too.
    """
    caches: dict[str | None, dict[str, Any]] = connection.info.setdefault(_CACHE_KEY, {})
    return caches.setdefault(current_schema(connection), {})


def clear_cache(connection: Connection) -> None:
    """Clear a connection's cache."""
    if not connection.closed and not connection.invalidated:
        connection.info.pop(_CACHE_KEY, None)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a read-only database transaction on a consistent snapshot."""
    options: dict[str, Any] = {"read_only": True}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with Session(engine.execution_options(**options), expire_on_commit=False) as session, session.begin():
        yield session


def stream_rows(session: Session, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield a query's rows, all of which are to be read, few in memory at a time."""
    if session.get_bind().dialect.name == "postgresql":
        # Otherwise it is planned for reading the first tenth soon, such as by walking an index through a whole table.
        session.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    return iter(session.execute(query.execution_options(yield_per=_STREAMED_ROWS)))
