"""Opens an engine's connections to PostgreSQL, and replaces those that are not to be used any more."""

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import DisconnectionError

from wallet_hooks import clock
from wallet_hooks.database import timelines
from wallet_hooks.database.deadlines import BoundedConnection, TooLateError, seconds_left
from wallet_hooks.database.urls import each_host
from wallet_hooks.settings import NETWORK_SECONDS

_Attempt = Future[BoundedConnection]
_KEPT_SECONDS = 5.0  # for which a connection is kept that nobody waited for


class Connector:
    """Opens connections in threads, because libpq bounds the attempt for each host but not their sum.

    An attempt that its caller no longer waits for goes on, for two seconds a host at most, and its connection is given
    to the next caller: a caller may have less time than the hosts before the right one take.
    """

    def __init__(self, longest_wait: float, prepare: Callable[[BoundedConnection], None]) -> None:
        self._longest_wait = longest_wait
        self._prepare = prepare
        self._abandoned: deque[_Attempt] = deque()
        self._valid_from = -math.inf

    def connect(
        self, _dialect: object, _record: object, arguments: tuple[Any, ...], parameters: dict[str, Any]
    ) -> BoundedConnection:
        """Return an open connection, as SQLAlchemy's `do_connect`. Raises psycopg's OperationalError, in time."""
        until = clock.monotonic() + min(self._longest_wait, seconds_left())
        while (attempt := self._take_abandoned()) is not None:
            try:
                return self._wait_for(attempt, until)
            except TooLateError:
                raise
            except psycopg.OperationalError:
                continue  # that attempt has failed; it is not kept
        return self._wait_for(self._start(arguments, parameters), until)

    def replace_open(self) -> None:
        """Have all connections that are open now replaced before their next use, because one of them was lost."""
        self._valid_from = clock.monotonic()

    def check(self, connection: BoundedConnection, _record: object, _proxy: object) -> None:
        """Raise DisconnectionError for a connection that must be replaced, as SQLAlchemy's `checkout`."""
        if connection.opened_at < self._valid_from or timelines.is_replaced(connection):
            raise DisconnectionError

    def _start(self, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> _Attempt:
        thread = ThreadPoolExecutor(1)
        started = thread.submit(self._open_newest, arguments, parameters)
        thread.shutdown(wait=False)
        return started

    def _open_newest(self, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> BoundedConnection:
        """Open a connection; if a primary that was replaced is the first that answers, to another host."""
        try:
            return self._open(arguments, parameters)
        except timelines.ReplacedPrimaryError:
            for host in each_host(parameters):
                with suppress(psycopg.OperationalError):
                    return self._open(arguments, parameters | host)
            raise

    def _open(self, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **parameters)
        connection.opened_at = clock.monotonic()
        connection.longest_wait = self._longest_wait
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _wait_for(self, attempt: _Attempt, until: float) -> BoundedConnection:
        seconds = until - clock.monotonic()
        try:
            connection = attempt.result(None if math.isinf(seconds) else max(seconds, 0))
        except FutureTimeoutError:
            connection = None
        # A caller without time for an answer would have to close the connection in the middle of its work.
        if connection is None or seconds_left() < NETWORK_SECONDS:
            self._abandoned.append(attempt)
            raise TooLateError("connecting to the database took too long")
        return connection

    def _take_abandoned(self) -> _Attempt | None:
        """Return an attempt that goes on, or its connection; one that nobody wanted for long is closed."""
        while self._abandoned:
            attempt = self._abandoned.popleft()
            if not attempt.done():
                return attempt
            if attempt.exception() is None:
                if attempt.result().opened_at > max(clock.monotonic() - _KEPT_SECONDS, self._valid_from):
                    return attempt
                attempt.result().close()
        return None


# By what an engine and those that `execution_options` derives from it have in common.
_connectors: "WeakKeyDictionary[Dialect, Connector]" = WeakKeyDictionary()


def use_connector(engine: Engine, longest_wait: float, prepare: Callable[[BoundedConnection], None]) -> None:
    """Have an engine open its connections with a Connector, which prepares each new one."""
    connector = _connectors[engine.dialect] = Connector(longest_wait, prepare)
    event.listen(engine, "do_connect", connector.connect)
    event.listen(engine, "checkout", connector.check)


def replace_connections(engine: Engine) -> None:
    """Have the engine's open connections replaced before their next use, because one of them was lost."""
    connector = _connectors.get(engine.dialect)
    if connector is not None:
        connector.replace_open()
