"""gunicorn's settings: `gunicorn -c python:wallet_hooks.server wsgi:app`. WEB_CONCURRENCY sets the workers."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from wallet_hooks.database import check_databases, open_engine
from wallet_hooks.ledger import currencies
from wallet_hooks.settings import ConfigurationError, Settings
from wallet_hooks.web.connections import announce_closing, discard_rest, has_leftovers


def _checked() -> Settings:
    """The settings. Checked here, once, is what would otherwise stop each worker with a trace.

    Raises ConfigurationError.
    """
    settings = Settings.from_env()
    check_databases(settings)
    engine = open_engine(settings)
    currencies.start(engine, settings)
    engine.dispose()
    return settings


try:
    _settings = _checked()
except ConfigurationError as error:
    sys.stderr.write(f"wallet-hooks: {error}\n")
    sys.exit(2)

bind = _settings.listen
# SQLite has one writer at a time, so a second process would only wait for the first one's lock.
_default_workers = 1 if _settings.database_url.startswith("sqlite") else os.cpu_count() or 2
workers = int(os.environ.get("WEB_CONCURRENCY", _default_workers))
worker_class = "gthread"
# Threads are what groups are made of: as many requests can share a commit.
threads = 32
keepalive = 30
graceful_timeout = 20
timeout = 30
worker_connections = 1000
limit_request_line = 4094
backlog = 2048
# Nobody needs to steer a worker from outside, so there is no socket to do it by.
control_socket_disable = True
# One line a callback is logged by the application itself.
accesslog = None

_PREFIX = "wallet-hooks-metrics-"
_made = None if "PROMETHEUS_MULTIPROC_DIR" in os.environ else Path(tempfile.mkdtemp(prefix=_PREFIX))
_metrics = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(_made)))
# Not before: the library looks for the directory when it is imported.
from wallet_hooks import worker_metrics  # noqa: E402

if _made is not None:
    _owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(_metrics, ignore_errors=True) if os.getpid() == _owner else None)
    _claim = worker_metrics.claim(_metrics)
    worker_metrics.remove_abandoned(_metrics.parent.glob(f"{_PREFIX}*"))


def post_fork(_server: Any, worker: Any) -> None:
    """Keep a worker on one processor: its threads take turns anyway, and waking one elsewhere costs more than it gains.

    The arbiter's age of a worker counts up from 1, so that neighbours get neighbouring processors.
    """
    processors = sorted(os.sched_getaffinity(0))
    if _settings.pin_workers and len(processors) > 1:
        os.sched_setaffinity(0, {processors[worker.age % len(processors)]})


def pre_request(worker: Any, request: Any) -> None:
    """Have the answer announce that the connection will be closed, where it will be."""
    announce_closing(request, lambda: bool(worker.alive))


def post_request(_worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Let the client read the answer, although it sent what nobody read."""
    if response is not None and response.headers_sent and has_leftovers(request):
        discard_rest(environ["gunicorn.socket"])


def post_worker_init(_worker: Any) -> None:
    """What start-up made stays; requests leave no cycles behind, so the collector need not look every 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)


def on_starting(server: Any) -> None:
    """Take over what an earlier service left in a directory that is kept."""
    _merge_metrics(server)


def child_exit(server: Any, _worker: Any) -> None:
    """Take over what a worker measured, however it ended."""
    _merge_metrics(server)


def _merge_metrics(server: Any) -> None:
    """An error is logged, and the files are merged when the next worker ends: metrics must not stop the master."""
    report = partial(server.log.error, "metrics: %s is lost: %s")
    try:
        worker_metrics.merge_ended(_metrics, report)
    except OSError as error:
        server.log.error("metrics of a worker that ended are not merged: %s", error)
