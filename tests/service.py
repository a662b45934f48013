"""Runs the service under gunicorn, for tests that need its processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.world import PATIENCE, JsonReply

GUNICORN = str(Path(sys.executable).with_name("gunicorn"))
# The environment variable with the worker class that tests run the service with.
WORKER_CLASS = "WALLET_HOOKS_TEST_WORKER_CLASS"
# The settings with which a service waits as long as the tests' applications do.
PATIENT_SETTINGS = {f"WALLET_HOOKS_{name.upper()}": str(seconds) for name, seconds in PATIENCE.items()}


def post(url: str, path: str, body: Any, headers: dict[str, str] | None = None, *, attempts: int = 200) -> JsonReply:
    """Send a request over a socket; retry 503 and lost connections, as a provider does."""
    data = json.dumps(body).encode()
    for attempt in range(1, attempts + 1):
        request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"} | (headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return JsonReply(response.status, json.load(response))
        except urllib.error.HTTPError as refused:
            reply = JsonReply(refused.code, json.load(refused))
            if reply.status != 503 or attempt == attempts:
                return reply
        except (OSError, HTTPException):
            pass  # after a lost connection the outcome is unknown
        time.sleep(0.02)
    raise AssertionError(f"no final answer from {path} after {attempts} attempts")


def status_of(
    url: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None, *, timeout: float = 30
) -> int:
    """Send a request once, and return the status of its answer. `body` is sent as JSON."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)) as connection:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        answer.read()
    return answer.status


def command(app: str, worker_class: str | None = None) -> list[str]:
    """Return the command that runs the service; by default with the environment's worker class or the service's own."""
    chosen = worker_class or os.environ.get(WORKER_CLASS)
    return [GUNICORN, "-c", "python:wallet_hooks.server", app, *(["-k", chosen] if chosen else [])]


_holding_ports: list[socket.socket] = []


def free_port() -> int:
    """Return a port that the system gives nobody else until this process ends. A server may listen on it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _holding_ports.append(holder)
    return int(holder.getsockname()[1])


@contextmanager
def served(
    database_url: str,
    directory: Path,
    *,
    app: str = "wsgi:app",
    workers: int | None = 1,
    worker_class: str | None = None,
    code: Path | None = None,
    settings: Mapping[str, str] | None = None,
    **more_settings: str,
) -> Iterator[tuple[str, int]]:
    """Run the service with its production settings on a free port. Yields its URL and the master's process id.

    Its output is written to `server.log` in the directory. Without `workers`, there are as many as by default. Without
    `worker_class`, the environment's is used or, by default, the service's own. `code` is the directory of another
    release.
    """
    port = free_port()
    environment = {
        "WALLET_HOOKS_DATABASE_URL": database_url,
        "WALLET_HOOKS_LISTEN": f"127.0.0.1:{port}",
    }
    environment |= {} if workers is None else {"WEB_CONCURRENCY": str(workers)}
    environment |= {**more_settings, **(settings or {})}
    environment |= {} if code is None else {"PYTHONPATH": str(code)}
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command(app, worker_class), env=os.environ | environment, stdout=log, stderr=log, cwd=code
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, "SIGTERM must end the service with status 0"


def workers_of(master: int) -> list[int]:
    """Return the process ids of a service's workers."""
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def wait_until_ready(url: str, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the service did not start")
