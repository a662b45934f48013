"""Load generation: wrk if it is installed, else a simple generator, which also sends prepared bodies."""

import json
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.world import bet, result

CUSTOMERS = 10_000
CONNECTIONS = 32


class Measured(NamedTuple):
    """Requests per second, latencies in milliseconds, the number of answers other than 200, and of all answers."""

    per_second: float
    p50: float
    p99: float
    bad: int
    answers: int


def single_bets(url: str, *, first: int, seconds: int, connections: int = CONNECTIONS) -> Measured:
    """Send requests of one bet each for some seconds, with new bet ids from `first` upwards."""
    if shutil.which("wrk"):
        return _wrk(url, first, seconds, connections)
    bodies = (json.dumps({"bets": [_bet(number)]}).encode() for number in iter(range(first, first + 10**9)))
    return send(url, "/bets", bodies, seconds=seconds, connections=connections)


def placed(numbers: Sequence[int], *, customer: int | None = None) -> bytes:
    """Return the body of a request that places these bets, of many customers or of one."""
    return json.dumps({"bets": [_bet(number, customer) for number in numbers]}).encode()


def settled(numbers: Sequence[int]) -> bytes:
    """Return the body of a request that settles these bets, as they were placed; odd numbers win."""
    return json.dumps({"pools": [_settled(number) for number in numbers]}).encode()


def send(
    url: str,
    path: str,
    bodies: Iterable[bytes],
    *,
    seconds: float = 600,
    connections: int = CONNECTIONS,
    headers: Mapping[str, str] | None = None,
) -> Measured:
    """Send bodies until they or the seconds run out, with one request in flight per connection."""
    feed = iter(bodies)
    taken: list[float] = []
    bad = 0
    started = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for body in islice(feed, connections):
            _Exchange(url, path, selector, headers or {}).start(body)
        while selector.get_map():
            for key, _ in selector.select():
                exchange: _Exchange = key.data
                if (status := exchange.receive()) is None:
                    continue
                taken.append(time.perf_counter() - exchange.started)
                bad += status != 200
                body = next(feed, b"") if time.perf_counter() - started < seconds else b""
                exchange.start(body) if body else exchange.close()
    elapsed = time.perf_counter() - started
    taken.sort()
    p50, p99 = (taken[len(taken) * percent // 100] * 1e3 for percent in (50, 99))
    return Measured(len(taken) / elapsed, p50, p99, bad, len(taken))


class _Exchange:
    """A connection with one request at a time."""

    def __init__(self, url: str, path: str, selector: selectors.BaseSelector, headers: Mapping[str, str]) -> None:
        self._address = urlsplit(url)
        lines = {"Host": self._address.netloc, "Content-Type": "application/json", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._head = f"POST {path} HTTP/1.1\r\n{head}".encode()
        self._selector = selector
        self._received = b""
        self._is_last = False  # of this connection
        self.started = 0.0
        self._connect()

    def start(self, body: bytes) -> None:
        self.started = time.perf_counter()
        if self._is_last:
            self.close()
            self._connect()
        self._socket.sendall(self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def receive(self) -> int | None:
        """Return the status once the answer is complete, else None."""
        self._received += self._socket.recv(65536)
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return None
        self._received = b""
        self._is_last = b"connection: close" in head.lower()
        return int(head.split(b" ", 2)[1])

    def _connect(self) -> None:
        self._socket = socket.create_connection((self._address.hostname, self._address.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()


def chunks(first: int, count: int, size: int) -> Iterator[range]:
    """Yield `count` consecutive ranges of `size` numbers each."""
    return (range(first + n * size, first + (n + 1) * size) for n in range(count))


def _wrk(url: str, first: int, seconds: int, connections: int) -> Measured:
    script = Path(__file__).with_name("bets.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url, "--", str(first)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT"))
    requests, duration, bad, p50, p99 = map(int, line.split()[1:])
    return Measured(requests / duration * 1e6, p50 / 1e3, p99 / 1e3, bad, requests)


def _customer(number: int) -> int:
    return 1 + (number * 7919) % CUSTOMERS


def _bet(number: int, customer: int | None = None) -> dict[str, object]:
    return bet(number, "1.00", user=customer or _customer(number), pool=number % 500, overdraw="21.00")


def _settled(number: int) -> dict[str, object]:
    payout, outcome = ("2.00", "won") if number % 2 else ("0", "lost")
    user, pool = str(_customer(number)), number % 500
    return result(number, payout, user=user, outcome=outcome, stake="1.00", pool=pool)
