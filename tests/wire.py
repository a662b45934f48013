"""A client of one connection, which sends and receives raw bytes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

JSON = b"Content-Type: application/json\r\n"


class RawAnswer(NamedTuple):
    status: int
    connection: str
    body: bytes


class Wire:
    """A connection; `buffer` are the bytes of answers that the system receives before they are read."""

    def __init__(self, url: str, *, buffer: int | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._socket = socket.socket()
        self._socket.settimeout(30)
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.connect((parts.hostname, parts.port))
        self._received = b""

    def send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def answer(self) -> RawAnswer:
        """Return the next answer; it must have a Content-Length or no body."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return RawAnswer(int(first.split()[1]), headers["connection"], body)

    def skip_continue(self) -> None:
        expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        while len(self._received) < len(expected):
            self._receive()
        assert self._received.startswith(expected)
        self._received = self._received.removeprefix(expected)

    def end(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        while received := self._socket.recv(65_536):
            self._received += received
        return self._received

    def is_closed(self) -> bool:
        """Return whether the server closes the connection without sending another byte."""
        return self._received == b"" and self._socket.recv(1) == b""

    def is_cut(self) -> bool:
        """Return whether the connection ends before its answer does."""
        try:
            self.answer()
        except (AssertionError, ConnectionResetError):
            return True
        return False

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> None:
        received = self._socket.recv(65_536)
        assert received, f"the connection ended after {self._received!r}"
        self._received += received


@contextmanager
def wire(url: str, *, buffer: int | None = None) -> Iterator[Wire]:
    connection = Wire(url, buffer=buffer)
    try:
        yield connection
    finally:
        connection.close()


def request(path: str = "/bets", body: bytes = b"", *, headers: bytes = JSON, method: bytes = b"POST") -> bytes:
    head = b"%s %s HTTP/1.1\r\nHost: test\r\n%sContent-Length: %d\r\n\r\n" % (method, path.encode(), headers, len(body))
    return head + body
