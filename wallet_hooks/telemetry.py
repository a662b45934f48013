"""Logs and metrics."""

import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from wallet_hooks import worker_metrics

CALLBACKS = Counter("wallet_hooks_callbacks", "Callbacks answered.", ["path", "status"])
CALLBACK_SECONDS = Histogram(
    "wallet_hooks_callback_seconds",
    "From a callback's arrival to its answer.",
    ["path"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
REFUSALS = Counter("wallet_hooks_refusals", "Callbacks refused, by the code that they were answered.", ["code"])
GROUP_SIZE = Histogram(
    "wallet_hooks_group_size", "Requests that shared a database transaction.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
DATABASE_SECONDS = Histogram(
    "wallet_hooks_database_seconds",
    "What a group waited for the database, from its first statement to the end of its commit.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
GROUP_FAULTS = Counter("wallet_hooks_group_faults", "Groups that were run again or given up, by reason.", ["fault"])


class _Lines(io.FileIO):
    """Standard output without a buffer: a line is one system call, and there is none that a crash could lose."""

    def write(self, line: Any) -> int:
        """A line that cannot be written is lost: what was committed must be answered all the same."""
        try:
            return super().write(line)
        except OSError:
            return 0


def start_logging(level: str) -> None:
    """JSON lines on standard output: an event, its level and time, and what the caller adds."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.BytesLoggerFactory(file=_Lines(sys.stdout.fileno(), "wb", closefd=False)),
        cache_logger_on_first_use=True,
    )


LOG: Any = structlog.get_logger()


def log_errors_alone() -> None:
    """For commands whose output is for people."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _to_json(event: dict[str, Any], **_: Any) -> bytes:
    return _encode(event).encode()


def exposition() -> bytes:
    """All metrics in Prometheus' text format, summed over the workers where there are several."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_Workers(Path(directory)))
    return generate_latest(registry)


class _Workers(Collector):
    """What all workers measured, those that ended included."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> list[Metric]:
        try:
            return worker_metrics.collect(self._directory, _report)
        except OSError as error:
            _report(self._directory, str(error))
            return []


_reported: set[Path] = set()


def _report(path: Path, reason: str) -> None:
    """Once for each file, however often the metrics are read."""
    if path not in _reported:
        _reported.add(path)
        LOG.error("metrics_unreadable", file=str(path), reason=reason)
