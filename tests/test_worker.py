"""Connections spread evenly over the workers of a service."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.service import served

_ESTABLISHED = "01"


@contextmanager
def connected(url: str, count: int) -> Iterator[None]:
    """Hold as many connections that have each got an answer and stay open."""
    parts = urlsplit(url)
    with ExitStack() as connections:
        for _ in range(count):
            connection = connections.enter_context(socket.create_connection((parts.hostname, parts.port or 80), 10))
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            assert b" 200 OK" in connection.recv(4096)
        yield


def workers_of(master: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def connections_of(master: int, url: str) -> dict[int, int]:
    """Return the number of established connections to the service's port by worker."""
    port = f":{urlsplit(url).port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(port) and row[3] == _ESTABLISHED}
    counts = Counter(dict.fromkeys(workers_of(master), 0))
    for worker in counts:
        counts[worker] = sum(os.readlink(file) in inodes for file in Path(f"/proc/{worker}/fd").iterdir())
    return dict(counts)


def wait_until_all_accept(master: int, url: str) -> None:
    """Wait until every worker has started."""
    deadline = time.monotonic() + 20
    while True:
        with connected(url, 24):
            counts = connections_of(master, url)
        if len(counts) > 1 and all(counts.values()):
            return
        assert time.monotonic() < deadline, counts
        time.sleep(0.1)


def test_connections_spread_evenly_over_workers(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=3) as (url, master):
        wait_until_all_accept(master, url)
        with connected(url, 24):
            counts = connections_of(master, url)
        assert sum(counts.values()) == 24
        assert max(counts.values()) - min(counts.values()) <= 2, counts


def test_a_worker_that_replaces_a_killed_one_gets_its_share(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=2) as (url, master):
        wait_until_all_accept(master, url)
        with connected(url, 6):
            os.kill(workers_of(master)[0], signal.SIGKILL)
            wait_until_all_accept(master, url)
            with connected(url, 12):
                counts = connections_of(master, url)
            assert max(counts.values()) - min(counts.values()) <= 2, counts
