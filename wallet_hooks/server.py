"""gunicorn's settings: `gunicorn -c python:wallet_hooks.server wsgi:app`. WEB_CONCURRENCY sets the workers."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from typing import Any

from wallet_hooks.database import open_engine
from wallet_hooks.ledger import currencies
from wallet_hooks.settings import ConfigurationError, Settings
from wallet_hooks.web.connections import announce_closing, discard_rest, has_leftovers


def _checked() -> Settings:
    """The settings. Checked here, once, is what would otherwise stop each worker with a trace.

    Raises ConfigurationError.
    """
    settings = Settings.from_env()
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

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    _metrics = tempfile.mkdtemp(prefix="wallet-hooks-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics
    _owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(_metrics, ignore_errors=True) if os.getpid() == _owner else None)


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


def child_exit(_server: Any, worker: Any) -> None:
    # Only here: the library looks for the directory above when it is imported.
    from prometheus_client import multiprocess  # noqa: PLC0415

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
