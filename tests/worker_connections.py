"""Connections to a service, and which of its workers has them."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.service import workers_of
from tests.wire import request, wire

_ESTABLISHED, _LISTENING = "01", "0A"


@contextmanager
def connected(url: str, count: int) -> Iterator[None]:
    """Hold as many connections that have each got an answer and stay open."""
    with ExitStack() as connections:
        for _ in range(count):
            client = connections.enter_context(wire(url))
            client.send(request("/healthz", method=b"GET", headers=b""))
            assert client.answer().status == 200
        yield


def connections_of(master: int, url: str, *, with_closing: bool = False) -> dict[int, int]:
    """Return the number of established connections to the service's port by worker.

    With those that the client has closed, if asked for: the worker has not noticed it yet.
    """
    port = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    own = [row for row in rows if row[1].endswith(port) and row[3] != _LISTENING]
    inodes = {f"socket:[{row[9]}]" for row in own if with_closing or row[3] == _ESTABLISHED}
    counts = Counter(dict.fromkeys(workers_of(master), 0))
    for worker in counts:
        for file in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                counts[worker] += os.readlink(file) in inodes
    return dict(counts)


def wait_until_all_accept(master: int, url: str, *, workers: int) -> None:
    """Wait until every worker accepts, and the connections that show it have ended."""
    deadline = time.monotonic() + 60
    while True:
        with connected(url, 4 * workers):
            counts = connections_of(master, url)
        if len(counts) == workers and all(counts.values()):
            break
        assert time.monotonic() < deadline, counts
    while any(connections_of(master, url, with_closing=True).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
