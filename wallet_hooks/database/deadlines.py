"""Bounds how long the service waits for PostgreSQL.

The server's own time-outs do not end every wait: a COMMIT that waits for a standby has none, and a server or a network
that falls silent enforces none, while the operating system may still acknowledge what is sent. So each wait ends on
this side, too, and the connection counts as lost then.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg

from wallet_hooks import clock

_answer_by: ContextVar[float] = ContextVar("answer_by", default=math.inf)


@contextmanager
def answer_within(seconds: float) -> Iterator[None]:
    """Bound all waits for PostgreSQL in the block together; an enclosing bound holds, too."""
    token = _answer_by.set(min(clock.monotonic() + seconds, _answer_by.get()))
    try:
        yield
    finally:
        _answer_by.reset(token)


def seconds_left() -> float:
    """Return how many seconds the enclosing `answer_within` leaves; infinite outside one."""
    return _answer_by.get() - clock.monotonic()


class TooLateError(psycopg.OperationalError):
    """PostgreSQL did not answer in time; other connections to it may be good."""


def is_too_late(error: BaseException) -> bool:
    """Return whether an error of psycopg, or of SQLAlchemy about one, is a TooLateError."""
    return isinstance(getattr(error, "orig", error), TooLateError)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose waits are bounded; the one that takes too long closes it.

    `longest_wait` is in seconds. It was opened at `opened_at`, in monotonic seconds.
    """

    longest_wait: float = math.inf
    opened_at: float = 0.0
    timeline: tuple[int, int] | None = None  # see `timelines`
    has_citus: bool = False

    @property
    def read_only(self) -> bool | None:
        return super().read_only

    @read_only.setter
    def read_only(self, value: bool | None) -> None:
        """Have transactions begin read-only, or as the server says: an administrator may have it refuse writes.

        SQLAlchemy sets False when a connection returns to the pool, and psycopg would ask for one that writes.
        """
        psycopg.Connection.read_only.fset(self, value or None)  # type: ignore[attr-defined]

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

    def lose(self) -> TooLateError:
        """Close the connection, and return the error to raise."""
        self.pgconn.finish()
        return TooLateError("the database did not answer in time")
