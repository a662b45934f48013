"""A server's WebSocket connections, without blocking: wsproto implements the protocol, the caller waits for sockets."""

import os
import re
import socket
from collections import deque
from collections.abc import Iterable

from werkzeug.datastructures import EnvironHeaders
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import generate_accept_token

from wallet_hooks.errors import WalletHooksError
from wallet_hooks.web.answer_socket import AnswerSocket
from wallet_hooks.web.requests import Environ

GOING_AWAY, POLICY_VIOLATION = 1001, 1008
VERSION = "13"
_KEY = re.compile("[A-Za-z0-9+/]{22}==")
_CHUNK = 512  # a client sends only pongs and its close
_SEND_BUFFER = 64 * 1024  # bytes in the kernel; more would only hide that a reader is slow


class UpgradeRequiredError(WalletHooksError):
    """The request is not a WebSocket handshake."""

    code = "upgrade_required"


class NoSocketError(WalletHooksError):
    """The server does not hand over the request's socket, or it is encrypted."""

    code = "not_implemented"


def handshake_headers(environ: Environ) -> dict[str, str]:
    """Return the headers of the answer 101 to a WebSocket handshake (RFC 6455, 4.2). Raises UpgradeRequiredError."""
    headers = EnvironHeaders(environ)
    is_plain_get = (environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"]) == ("GET", "HTTP/1.1")
    if not is_plain_get or headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers:
        raise UpgradeRequiredError("a WebSocket handshake is expected: a GET of HTTP/1.1 without a body")
    options = {option.strip().lower() for option in headers.get("Connection", "").split(",")}
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in options:
        raise UpgradeRequiredError("a WebSocket handshake is expected: Connection: Upgrade and Upgrade: websocket")
    if headers.get("Sec-WebSocket-Version") != VERSION:
        raise UpgradeRequiredError(f"Sec-WebSocket-Version: {VERSION} is expected")
    key = headers.get("Sec-WebSocket-Key", "")
    if not _KEY.fullmatch(key):
        raise UpgradeRequiredError("Sec-WebSocket-Key: 16 bytes in base64 are expected")
    token = generate_accept_token(key.encode()).decode()
    return {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": token}


def socket_of(environ: Environ) -> socket.socket:
    """Return the plain socket of a request. Raises NoSocketError."""
    found = environ.get("gunicorn.socket")
    if isinstance(found, AnswerSocket):
        found = found.plain
    if type(found) is not socket.socket:
        raise NoSocketError("this server does not hand over sockets; gunicorn does")
    return found


def take_over(connection: socket.socket) -> socket.socket:
    """Return a connection as a socket of its own, and leave the server a closed one in its place.

    gunicorn shuts a connection down when it is done with it, which would also end a duplicate; the closed one that it
    finds instead is what it sees when a client has left.
    """
    taken = socket.socket(fileno=os.dup(connection.fileno()))
    placeholder, peer = socket.socketpair()
    with placeholder, peer:
        os.dup2(placeholder.fileno(), connection.fileno(), inheritable=False)
    return taken


class WebSocket:
    """A connection after its handshake. The caller waits for `socket` to become readable, or writable if `wants_write`.

    Monotonic seconds are `active_at`, when the client last sent something or took a part of what waits for it,
    `written_at`, when it last took any output, and `closed_at`, when closing began. `pending` is the number of bytes
    that wait to be sent. `close_code` is the code that this side sent, None if the client closed or was lost. A
    connection that `is_over` can be discarded.
    """

    def __init__(self, connection: socket.socket, *, now: float) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.socket = connection
        self.active_at = self.written_at = now
        self.closed_at: float | None = None
        self.close_code: int | None = None
        self.pending = 0
        self.is_over = False
        self._protocol = Connection(ConnectionType.SERVER)
        self._output: deque[memoryview] = deque()
        self._is_first_begun = False
        self._pong: Pong | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent: neither side has begun to close."""
        return self.closed_at is None and not self.is_over

    @property
    def wants_write(self) -> bool:
        return bool(self._output)

    def send(self, texts: Iterable[str], *, now: float) -> None:
        """Send text messages, as far as the client takes them now; the rest waits."""
        self._queue([TextMessage(data=text) for text in texts], now=now)

    def ping(self, *, now: float) -> None:
        self._queue([Ping()], now=now)

    def close(self, code: int, reason: str, *, now: float) -> None:
        """Begin to close. Messages of which nothing was sent are discarded, so that the code arrives soon."""
        if self.is_open:
            while len(self._output) > self._is_first_begun:
                self.pending -= len(self._output.pop())
            self.closed_at, self.close_code = now, code
            self._queue([CloseConnection(code=code, reason=reason)], now=now)

    def receive(self, *, now: float) -> None:
        """Read some of what has arrived, and answer what the protocol asks for; `flush` sends the answer.

        Messages of the client are ignored.
        """
        try:
            received = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        self.active_at = now
        if not received:
            self.is_over = True
        elif self._protocol.state in (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING):
            self._protocol.receive_data(received)
            self._answer(now)

    def flush(self, *, now: float) -> None:
        """Send as much as the client takes."""
        try:
            while self._output:
                sent = self.socket.send(self._output[0])
                self.written_at = now
                self.pending -= sent
                self._is_first_begun = sent < len(self._output[0])
                if self._is_first_begun:
                    self._output[0] = self._output[0][sent:]
                else:
                    self._output.popleft()
        except BlockingIOError:
            self.active_at = max(self.active_at, self.written_at)
            return
        except OSError:
            self.is_over = True
        if self._pong is not None and self.is_open:
            pong, self._pong = self._pong, None
            self._queue([pong], now=now)
        self.is_over = self.is_over or self._protocol.state is ConnectionState.CLOSED

    def _answer(self, now: float) -> None:
        """Answer pings and the client's close, and close where the client breaks the protocol."""
        for event in self._protocol.events():
            if isinstance(event, Ping):
                self._pong = event.response()  # of several pings, only the last must be answered
            elif isinstance(event, CloseConnection):
                self.closed_at = now if self.closed_at is None else self.closed_at
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    self._queue([event.response()], now=now)
                elif self._protocol.state is ConnectionState.OPEN:
                    self.close_code, self.is_over = event.code, True
                    self._queue([CloseConnection(code=event.code)], now=now)

    def _queue(self, events: Iterable[Event], *, now: float) -> None:
        if not self._output:
            self._is_first_begun, self.written_at = False, now
        for event in events:
            frame = memoryview(self._protocol.send(event))
            self._output.append(frame)
            self.pending += len(frame)
        self.flush(now=now)
