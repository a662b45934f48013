"""A client's connection whose requests gunicorn's loop receives and answers, without blocking."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Any

from gunicorn.workers.gthread import TConn

from wallet_hooks import clock
from wallet_hooks.web.answer_socket import AnswerSocket
from wallet_hooks.web.arriving import SEGMENT, ArrivedUnreader, Arriving, HeadParser
from wallet_hooks.web.connections import LINGER_SECONDS

# Seconds from a request's first byte (or its connection's opening) in which it must have arrived, and in which a client
# must take some of its answer. A long body has longer (`ArrivedUnreader`).
CLIENT_SECONDS = 20.0
_DISCARDED = 64 * 1024  # bytes that are discarded at a time


class State(Enum):
    """What a connection waits for."""

    REQUEST = "request"
    THREAD = "thread"  # a thread of the pool is to read the rest of its request
    ANSWER = "answer"  # from the application; what the client sends meanwhile is not read
    CLIENT = "client"  # to take the rest of an answer
    END = "end"  # the end of what the client still sends after its last answer
    OVER = "over"  # nothing: the connection can be closed


class LoopConnection(TConn):  # type: ignore[misc]
    """A connection. `timeout` is the monotonic instant at which it is closed if it still waits for the client."""

    sock: Any  # a socket, or an AnswerSocket while a thread answers

    def __init__(self, parser: HeadParser, config: Any, connection: socket.socket, client: Any, server: Any) -> None:
        super().__init__(config, connection, client, server)
        self.arriving = Arriving(parser, client, server)
        self.state = State.REQUEST
        self.waits_since = clock.monotonic()  # for a request
        self.timeout = self.waits_since + CLIENT_SECONDS
        self.was_inactive = False  # when its worker last counted
        self.closes = False  # after the answer
        self.is_at_end = False  # the client has sent everything
        self.events = 0  # that the loop waits for
        self._output = bytearray()
        self.data_ready = True  # so that a thread of the pool does not wait for data first

    def init(self) -> None:
        """Prepare the connection for a thread of the pool; called by gunicorn in that thread."""
        if not self.initialized:
            super().init()
            self.parser.unreader = ArrivedUnreader(self.sock, self.arriving)
        self.parser.unreader.until = self.timeout
        self.sock.settimeout(CLIENT_SECONDS)

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for a request of which nothing has arrived."""
        return self.state is State.REQUEST and not self.arriving.size

    def has_sent_more(self) -> bool:
        """Return whether the client has sent what the loop has not received yet."""
        with suppress(OSError):  # nothing, or the client has left
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        return False

    def is_late(self, now: float) -> bool:
        """Return whether the client has taken too long."""
        return self.state is not State.ANSWER and self.timeout <= now

    def await_request(self) -> None:
        """Begin to wait for the next request; segments that the last one left are its beginning."""
        self.state = State.REQUEST
        self.waits_since = clock.monotonic()
        self.timeout = self.waits_since + self.cfg.keepalive

    def stop_waiting(self, at_latest: float) -> None:
        """Close the connection at a monotonic instant if no request has begun by then."""
        if self.is_idle:
            self.timeout = min(self.timeout, at_latest)

    def receive(self) -> bool:
        """Receive a segment; return whether there is one, or the client has closed (`is_at_end`)."""
        try:
            segment = self.sock.recv(SEGMENT)
        except BlockingIOError:
            return False
        if not segment:
            self.is_at_end = True
        else:
            if not self.arriving.size:
                self.timeout = clock.monotonic() + CLIENT_SECONDS
            self.arriving.add(segment)
        return True

    def send(self, answer: bytes = b"") -> None:
        """Send an answer, or the rest of one, as far as the client takes it."""
        self._output += answer
        if self._output:
            with suppress(BlockingIOError):
                del self._output[: self.sock.send(self._output)]
        if self._output:
            self.state = State.CLIENT
            self.timeout = clock.monotonic() + CLIENT_SECONDS
        elif self.closes:
            self.end()
        else:
            self.await_request()

    @contextmanager
    def answered_by_thread(self) -> Iterator[None]:
        """Let a thread answer. What the client does not take at once is then `unsent`, for `send`."""
        plain = self.sock
        self.sock = AnswerSocket(plain)
        try:
            yield
        finally:
            self._output += self.sock.unsent
            self.sock = plain

    @property
    def unsent(self) -> int:
        """The bytes of an answer that the client has not taken yet."""
        return len(self._output)

    def end(self) -> None:
        """Close the sending side; what the client still sends is discarded."""
        self.state = State.END
        self.timeout = clock.monotonic() + LINGER_SECONDS
        self.sock.setblocking(False)
        self.sock.shutdown(socket.SHUT_WR)

    def discard(self) -> None:
        """Discard what the client sends."""
        if not self.sock.recv(_DISCARDED):
            self.state = State.OVER
