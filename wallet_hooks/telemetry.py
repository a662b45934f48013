"""Prometheus metrics: what is counted and measured, and how it is read."""

import os
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, Metric, start_http_server
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from wallet_hooks import worker_metrics
from wallet_hooks.logs import LOG

CALLBACKS = Counter("wallet_hooks_callbacks", "Callbacks answered.", ["path", "status"])
CALLBACK_SECONDS = Histogram(
    "wallet_hooks_callback_seconds",
    "Time from a callback's arrival to its answer.",
    ["path"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
CALLBACK_ERRORS = Counter("wallet_hooks_refusals", "Callbacks answered with an error, by code.", ["code"])
REQUESTS = Counter("wallet_hooks_requests", "Requests answered that are not callbacks, by part.", ["part", "status"])
OPERATIONS = Counter(
    "wallet_hooks_account_operations", "Operations of the account API, by error code or OK.", ["operation", "code"]
)
GROUP_SIZE = Histogram(
    "wallet_hooks_group_size", "Requests that shared a database transaction.", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
DATABASE_SECONDS = Histogram(
    "wallet_hooks_database_seconds",
    "Time that a group spent in the database, from its first statement to the end of its commit.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
)
GROUP_FAULTS = Counter("wallet_hooks_group_faults", "Groups that were retried or failed, by fault.", ["fault"])

STREAMS_OPENED = Counter("wallet_hooks_streams_opened", "Streams of customers that were opened.")
STREAMS_CLOSED = Counter("wallet_hooks_streams_closed", "Streams of customers that ended, by close code.", ["code"])

FOLLOW_CONNECTIONS = Counter(
    "wallet_hooks_follow_connections", "Connections to the platform's stream, opened and lost.", ["event"]
)
FOLLOW_MESSAGES = Counter("wallet_hooks_follow_messages", "Messages of the platform's stream.", ["outcome"])
FOLLOW_UNREADABLE = Counter("wallet_hooks_follow_unreadable_frames", "Frames of the platform that cannot be read.")
FOLLOW_LAG = Histogram(
    "wallet_hooks_follow_lag_seconds",
    "Time from a frame's instant to its commit.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)


def serve_metrics(host: str, port: int) -> None:
    """Serve this process's metrics over HTTP, in a thread of their own."""
    start_http_server(port, addr=host)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format, summed over the workers if there are several."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_WorkerCollector(Path(directory)))
    return generate_latest(registry)


class _WorkerCollector(Collector):
    """Collects the metrics of all workers, including those that ended."""

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
    """Log an unreadable file once, however often the metrics are read."""
    if path not in _reported:
        _reported.add(path)
        LOG.error("metrics_unreadable", file=str(path), reason=reason)
