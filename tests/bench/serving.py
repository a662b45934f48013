"""Runs the service with its production settings, and counts the processor time of processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PORT = 18_900
_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")  # microseconds


class Service(NamedTuple):
    """A running service: its address, and the process id of its master."""

    address: str
    pid: int


@contextmanager
def served(
    database_url: str, app: str = "wsgi:app", *, worker_class: str | None = None, **environment: str
) -> Iterator[Service]:
    """Run gunicorn on PORT, with the service's own worker class unless another one is given."""
    settings = {"WALLET_HOOKS_DATABASE_URL": database_url, "WALLET_HOOKS_LISTEN": f"127.0.0.1:{PORT}"}
    command = [str(Path(sys.executable).with_name("gunicorn")), "-c", "python:wallet_hooks.server", app]
    command += ["-k", worker_class] if worker_class else []
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=os.environ | settings | environment, stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{PORT}/bets")
            yield Service(f"http://127.0.0.1:{PORT}", process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_up(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, json.dumps({}).encode(), timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the service did not start")


def processor_time(pid: int) -> float:
    """Return the microseconds that a process and its children, living and ended, have used."""
    total = 0.0
    with suppress(FileNotFoundError):  # it has ended meanwhile
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = sum(map(int, fields[11:15])) * _TICK
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total += sum(processor_time(int(child)) for child in children)
    return total
