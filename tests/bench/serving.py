"""Runs the service for a load, and counts the processor time of processes."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests import service
from tests.service import workers_of

_TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")  # microseconds


class Service(NamedTuple):
    """A running service: its address, and the process id of its master."""

    address: str
    pid: int


@contextmanager
def served(
    database_url: str,
    app: str = "wsgi:app",
    *,
    workers: int | None = None,
    worker_class: str | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run the service, or another application with its settings; by default with as many workers as it has then."""
    with tempfile.TemporaryDirectory() as scratch:
        running = service.served(
            database_url, Path(scratch), app=app, workers=workers, worker_class=worker_class, settings=settings
        )
        with running as found:
            yield Service(*found)


def megabytes(pid: int) -> float:
    """Return the memory of a service's largest worker, in mebibytes."""
    statuses = [Path(f"/proc/{worker}/status").read_text() for worker in workers_of(pid)]
    return max(int(status.partition("VmRSS:")[2].split()[0]) for status in statuses) / 1024


def processor_time(pid: int) -> float:
    """Return the microseconds that a process and its children, living and ended, have used."""
    total = 0.0
    with suppress(FileNotFoundError):  # it has ended meanwhile
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total = sum(map(int, fields[11:15])) * _TICK
        total += sum(map(processor_time, workers_of(pid)))
    return total
