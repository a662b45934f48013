"""Stores each currency that is in use, with the number of decimals that its amounts were written with.

The meaning of a stored amount must not change with a setting or a library. So code that stores an amount calls
`store_currencies`, and each process reads the stored currencies at its start, and again when it meets a currency that
it has not read yet: another process may have been the first to use it.
"""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, event, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import clock, money
from wallet_hooks.database import connection_cache, reading
from wallet_hooks.database.bulk import RowSet, find_rows, insert_rows, pipeline, run
from wallet_hooks.ledger.models import StoredCurrency
from wallet_hooks.settings import ConfigurationError, Settings


class StoredCurrencyRow(NamedTuple):
    """A row of `models.StoredCurrency`."""

    code: str
    decimals: int


_used = RowSet.of("used", StoredCurrency, StoredCurrencyRow)
_INSERT_CURRENCIES = insert_rows(_used, StoredCurrency, skip_existing=True)
_requested = RowSet("requested", StoredCurrency.code)
_STORED = find_rows(_requested, StoredCurrency, StoredCurrencyRow)
# Seconds for which the read currencies are cached, so that a request with many unknown currencies costs one query.
_CACHE_SECONDS = 0.1


def store_currencies(connection: Connection, codes: Iterable[str]) -> None:
    """Store currencies with their decimals in the running database transaction.

    Sends no statement for currencies that are cached as stored. If two database transactions use a new currency at the
    same time, the second waits for the first and reads its decimals. Raises UnknownCurrencyError, and
    CurrencyMismatchError if a currency is stored with other decimals.
    """
    cached: set[str] = connection_cache(connection).setdefault("currencies", set())
    requested = sorted(set(codes) - cached)
    if not requested:
        return
    stored = {row.code: row.decimals for row in run(connection, _STORED([(code,) for code in requested]))}
    money.register_stored(stored)
    if new := [(code, money.known_decimals(code)) for code in requested if code not in stored]:
        with pipeline(connection) as calls:
            calls.add(_INSERT_CURRENCIES(new))
            found = calls.add(_STORED([(code,) for code, _ in new]))
        money.register_stored({row.code: row.decimals for row in found.rows})
    cached.update(requested)


def stored_currencies(connection: Connection) -> dict[str, int]:
    """Return the decimals of each stored currency by code; empty if the database lacks the table (not migrated)."""
    if not inspect(connection).has_table(StoredCurrency.__tablename__):
        return {}
    rows = connection.execute(select(StoredCurrency.code, StoredCurrency.decimals))
    return {row.code: row.decimals for row in rows}


def initialize(engine: Engine, settings: Settings) -> None:
    """Register the settings' currencies and the stored ones in this process, at its start.

    If the database cannot be reached, the stored currencies are read when they are needed. Raises ConfigurationError if
    the settings, ISO 4217 and the stored currencies contradict each other.
    """
    configure(settings)
    try:
        with reading(engine) as session:
            money.register_stored(stored_currencies(session.connection()))
    except money.CurrencyMismatchError as error:
        engine.dispose()
        raise ConfigurationError(str(error)) from None
    except SQLAlchemyError:
        pass  # /readyz reports it until the database is back
    money.set_stored_reader(stored_reader(engine))


def configure(settings: Settings) -> None:
    """Register the settings' currencies. Raises ConfigurationError if ISO 4217 has other decimals for one."""
    try:
        money.configure(settings.currencies)
    except money.MoneyError as error:
        raise ConfigurationError(f"WALLET_HOOKS_CURRENCIES: {error}") from None


def register_on_first_use(engine: Engine) -> None:
    """Register the stored currencies at the start of the engine's first database transaction.

    For commands, because not all of them use the database. CurrencyMismatchError is raised in that transaction.
    """
    event.listen(engine, "begin", lambda connection: money.register_stored(stored_currencies(connection)), once=True)


def stored_reader(engine: Engine) -> Callable[[], dict[str, int]]:
    """Return a function for `money.set_stored_reader` that reads the stored currencies in its own transaction.

    One thread at a time reads them; the others get the cached result. The function raises the database's errors.
    """
    lock = threading.Lock()
    found: dict[str, int] = {}
    read_at = float("-inf")

    def read() -> dict[str, int]:
        nonlocal found, read_at
        if clock.monotonic() - read_at > _CACHE_SECONDS and lock.acquire(blocking=False):
            try:
                with reading(engine) as session:
                    found = stored_currencies(session.connection())
                read_at = clock.monotonic()
            finally:
                lock.release()
        return found

    return read
