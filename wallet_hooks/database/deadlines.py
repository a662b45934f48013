"""Bounds how long the service waits for PostgreSQL.

The server's own time-outs do not end every wait: a COMMIT that waits for a standby has none, and a server or a network
that falls silent enforces none, while the operating system may still acknowledge what is sent. So each wait ends on
this side, too, and the connection counts as lost then.
"""

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import psycopg

from wallet_hooks import clock

_answer_by: ContextVar[float] = ContextVar("answer_by", default=math.inf)


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Bound all waits for PostgreSQL in the block together."""
    token = _answer_by.set(clock.monotonic() + seconds)
    try:
        yield
    finally:
        _answer_by.reset(token)


def seconds_left() -> float:
    """Return how many seconds the enclosing `answer_within` leaves; infinite outside one."""
    return _answer_by.get() - clock.monotonic()


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose waits are bounded; the one that takes too long closes it.

    `longest_wait` is in seconds.
    """

    longest_wait: float = math.inf

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server as psycopg does. Raises OperationalError if it does not answer in time."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        seconds = self.seconds_to_wait()
        try:
            return super().wait(gen, interval, None if math.isinf(seconds) else seconds)
        except psycopg.errors._WaitTimeout:
            raise self.lose() from None

    def seconds_to_wait(self) -> float:
        """Return how long a wait that begins now may take."""
        return max(min(self.longest_wait, seconds_left()), 0)

    def lose(self) -> psycopg.OperationalError:
        """Close the connection, and return the error to raise."""
        self.pgconn.finish()
        return psycopg.OperationalError("the database did not answer in time")


def connect(arguments: tuple[Any, ...], parameters: dict[str, Any], *, longest_wait: float) -> BoundedConnection:
    """Connect to one of the parameters' hosts. Raises psycopg's OperationalError, after `longest_wait` at the latest.

    libpq bounds the attempt for each host, but not their sum.
    """
    seconds = min(longest_wait, seconds_left())
    if math.isinf(seconds):
        return BoundedConnection.connect(*arguments, **parameters)
    attempts = ThreadPoolExecutor(1)
    attempt = attempts.submit(BoundedConnection.connect, *arguments, **parameters)
    attempts.shutdown(wait=False)
    try:
        connection = attempt.result(max(seconds, 0))
    except FutureTimeoutError:
        attempt.add_done_callback(_close)
        raise psycopg.OperationalError("connecting to the database took too long") from None
    connection.longest_wait = longest_wait
    return connection


def _close(attempt: "Future[BoundedConnection]") -> None:
    with suppress(psycopg.Error):
        attempt.result().close()
