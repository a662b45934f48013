"""The currencies that stored amounts are in, each with the decimals that the amounts were written with.

What a stored amount means must not follow a setting or a library that changes later. So whoever stores an amount calls
`keep`, and each process learns what is kept: at its start, and whenever it meets a currency that it does not know to be
stored, which another process may have been the first to use.
"""

import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy import Connection, Engine, event, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import clock, money
from wallet_hooks.database import kept_until_rollback, reading
from wallet_hooks.database.bulk import RowSet, finding, inserting, pipeline, run
from wallet_hooks.ledger.models import StoredCurrency
from wallet_hooks.settings import ConfigurationError, Settings


class StoredCurrencyRow(NamedTuple):
    """A stored currency, as `models.StoredCurrency` keeps it."""

    code: str
    decimals: int


_used = RowSet.of("used", StoredCurrency, StoredCurrencyRow)
_KEEP = inserting(_used, StoredCurrency, unless_known_by=("code",))
_asked = RowSet("asked", StoredCurrency.code)
_STORED = finding(_asked, StoredCurrency, StoredCurrencyRow)
# Seconds for which a reading counts as current: a body full of currencies that nobody uses costs one query.
_LIFETIME = 0.1


def keep(connection: Connection, codes: Iterable[str]) -> None:
    """Store the decimals of currencies in the running transaction; no statement where they are known to be stored.

    Of two transactions that are the first to use a currency, the second waits for the first and finds its decimals.
    Raises UnknownCurrencyError, and CurrencyMismatchError where they are stored with other decimals.
    """
    kept: set[str] = kept_until_rollback(connection).setdefault("currencies", set())
    asked = sorted(set(codes) - kept)
    if not asked:
        return
    stored = {row.code: row.decimals for row in run(connection, _STORED([(code,) for code in asked]))}
    money.learn(stored)
    if new := [(code, money.decimals_here(code)) for code in asked if code not in stored]:
        with pipeline(connection) as calls:
            calls.add(_KEEP(new))
            found = calls.add(_STORED([(code,) for code, _ in new]))
        money.learn({row.code: row.decimals for row in found.rows})
    kept.update(asked)


def stored_currencies(connection: Connection) -> dict[str, int]:
    """The decimals of every stored currency; none where the database is not migrated that far."""
    if not inspect(connection).has_table(StoredCurrency.__tablename__):
        return {}
    rows = connection.execute(select(StoredCurrency.code, StoredCurrency.decimals))
    return {row.code: row.decimals for row in rows}


def start(engine: Engine, settings: Settings) -> None:
    """Know the settings' currencies and the stored ones, in this process, from its start.

    Where the database is away, they are learned when they are needed. Raises ConfigurationError where the settings,
    ISO 4217 and what is stored contradict each other.
    """
    configure(settings)
    try:
        with reading(engine) as session:
            money.learn(stored_currencies(session.connection()))
    except money.CurrencyMismatchError as error:
        engine.dispose()
        raise ConfigurationError(str(error)) from None
    except SQLAlchemyError:
        pass  # /readyz says so until it is back
    money.confirm_with(reader(engine))


def configure(settings: Settings) -> None:
    """Know the settings' currencies. Raises ConfigurationError where ISO 4217 has other decimals for one."""
    try:
        money.configure(settings.currencies)
    except money.MoneyError as error:
        raise ConfigurationError(f"WALLET_HOOKS_CURRENCIES: {error}") from None


def learn_on_first_use(engine: Engine) -> None:
    """Learn the stored currencies in the engine's first transaction, before all else that is done in it.

    For commands, not all of which need the database. CurrencyMismatchError comes out of the first transaction.
    """
    event.listen(engine, "begin", lambda connection: money.learn(stored_currencies(connection)), once=True)


def reader(engine: Engine) -> Callable[[], dict[str, int]]:
    """Return what `money.confirm_with` takes: a function that reads the stored currencies, in its own transaction.

    One caller at a time reads them, the others get the last reading. The function raises the database's error.
    """
    lock = threading.Lock()
    found: dict[str, int] = {}
    read_at = float("-inf")

    def read() -> dict[str, int]:
        nonlocal found, read_at
        if clock.monotonic() - read_at > _LIFETIME and lock.acquire(blocking=False):
            try:
                with reading(engine) as session:
                    found = stored_currencies(session.connection())
                read_at = clock.monotonic()
            finally:
                lock.release()
        return found

    return read
