"""Clients that send a byte a second, or nothing: what they cost the others."""

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from urllib.parse import urlsplit

_HEADS, _BODIES, _IDLE = 200, 50, 2000
_HEAD = b"POST /bets HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
COUNT = _HEADS + _BODIES + _IDLE
HELD_BACK, _LONG_BODY = 2400, 59_000
_SETTLED = 2  # seconds until the workers have accepted, closed or received what there is


@contextmanager
def slow_clients(address: str) -> Iterator[None]:
    """Hold connections that trickle a head or a body, and idle ones, while the block runs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    stop = threading.Event()
    trickling = threading.Thread(target=_trickle, args=(address, stop))
    trickling.start()
    idle = [_connect(address) for _ in range(_IDLE)]
    try:
        time.sleep(_SETTLED)
        yield
    finally:
        stop.set()
        trickling.join()
        for connection in idle:
            connection.close()
        time.sleep(_SETTLED)


@contextmanager
def held_back(address: str) -> Iterator[None]:
    """Hold connections that have sent all of a long body but its last byte, while the block runs."""
    head = _HEAD.replace(b"5000", str(_LONG_BODY).encode())
    connections = [_connect(address) for _ in range(HELD_BACK)]
    try:
        for connection in connections:
            with suppress(OSError):  # a worker that may have fewer connections has closed it
                connection.sendall(head + bytes(_LONG_BODY - 1))
        time.sleep(_SETTLED)
        yield
    finally:
        for connection in connections:
            connection.close()


def _trickle(address: str, stop: threading.Event) -> None:
    """Send each connection's next byte every second, one after the other: clients do not keep time with each other.

    One that the service has closed is opened again.
    """
    slow = [_Slow(address, sent=b"" if number < _HEADS else _HEAD) for number in range(_HEADS + _BODIES)]
    for one in cycle(slow):
        if stop.wait(1 / len(slow)):
            break
        one.send()
    for one in slow:
        one.connection.close()


class _Slow:
    def __init__(self, address: str, *, sent: bytes) -> None:
        self._address = address
        self._first = sent
        self._open()

    def _open(self) -> None:
        self.connection = _connect(self._address)
        self.connection.sendall(self._first)
        self._next = len(self._first)

    def send(self) -> None:
        try:
            self.connection.sendall(_HEAD[self._next : self._next + 1] or b" ")
            self._next += 1
        except OSError:
            self.connection.close()
            with suppress(OSError):
                self._open()


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=30)
