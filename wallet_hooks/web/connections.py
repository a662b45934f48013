"""Decides when gunicorn must close a connection, so that the answer announces it.

gunicorn strips a `Connection` header that an application sets; it calls the request's `should_close` when it writes the
answer's headers. Input that is unread then (the rest of a body, or a pipelined request) is never read as a request.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Protocol

from wallet_hooks import clock

LINGER_SECONDS = 2.0
_CHUNK = 64 * 1024


class GunicornRequest(Protocol):
    """The attributes of `gunicorn.http.message.Request` that are used here."""

    body: Any
    unreader: Any
    should_close: Callable[[], bool]

    def force_close(self) -> None: ...


def announce_closing(request: GunicornRequest, is_worker_alive: Callable[[], bool]) -> None:
    """Make the answer close the connection if input is unread, or the worker stopping, when its headers are written.

    gunicorn asks again later, also before it reads the next request. The answer must be that of the headers: otherwise
    a request that a client sent on a connection that was announced as kept would be lost.
    """
    is_close_requested = request.should_close

    @cache
    def should_close() -> bool:
        if has_unread_bytes(request) or not is_worker_alive():
            request.force_close()
        return is_close_requested()

    request.should_close = should_close


def has_unread_bytes(request: GunicornRequest) -> bool:
    """Return whether the connection has unread bytes, other than a completely received body with nothing after it.

    gunicorn discards such a body without waiting.
    """
    reader = request.body.reader
    received = request.unreader.buf.getbuffer().nbytes
    if hasattr(reader, "length"):
        return bool(received != reader.length)
    return bool(received or reader.parser is not None)  # a chunked body; its parser is None after the last chunk


def discard_input(connection: socket.socket) -> None:
    """Shut down sending, and discard what the client still sends, for at most two seconds.

    Closing while the client sends would reset the connection, and the client could lose the answer.
    """
    deadline = clock.monotonic() + LINGER_SECONDS
    with suppress(OSError):  # the client has closed, or the time is over
        connection.shutdown(socket.SHUT_WR)
        while (remaining := deadline - clock.monotonic()) > 0:
            connection.settimeout(remaining)
            if not connection.recv(_CHUNK):
                break
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # otherwise gunicorn waits as long again, in its accepting thread
