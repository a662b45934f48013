"""When gunicorn must close a connection, and how the answer announces it.

gunicorn strips a `Connection` header that an application sets, and asks the request instead whether to close when it
writes the answer's headers. What is unread then (the rest of a body, or a next request that was pipelined) is neither
waited for nor read as a request.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from wallet_hooks import clock

_LINGER = 2.0  # seconds
_CHUNK = 64 * 1024


class GunicornRequest(Protocol):
    """What is used of `gunicorn.http.message.Request`."""

    body: Any
    unreader: Any
    should_close: Callable[[], bool]

    def force_close(self) -> None: ...


def announce_closing(request: GunicornRequest, is_worker_alive: Callable[[], bool]) -> None:
    """Make the request ask for closing, once its answer begins, where bytes are left over or the worker is stopping."""
    is_asked_for = request.should_close

    def should_close() -> bool:
        if has_leftovers(request) or not is_worker_alive():
            request.force_close()
        return is_asked_for()

    request.should_close = should_close


def has_leftovers(request: GunicornRequest) -> bool:
    """Return whether anything of the connection is unread, other than a body that came whole with nothing after it.

    Such a body is discarded by gunicorn without waiting for anything.
    """
    reader = request.body.reader
    received = request.unreader.buf.getbuffer().nbytes
    if hasattr(reader, "length"):
        return bool(received != reader.length)
    return bool(received or reader.parser is not None)  # a chunked body, whose parser is None at its end


def discard_rest(connection: socket.socket) -> None:
    """End the sending side, and read what the client still sends, for two seconds at most.

    Closing while the client sends would reset the connection, and the client might lose the answer.
    """
    deadline = clock.monotonic() + _LINGER
    with suppress(OSError):  # the client is gone, or the time is up
        connection.shutdown(socket.SHUT_WR)
        while (patience := deadline - clock.monotonic()) > 0:
            connection.settimeout(patience)
            if not connection.recv(_CHUNK):
                break
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # or gunicorn would wait as long again, in the thread that accepts
