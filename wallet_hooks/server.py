"""gunicorn's configuration: `gunicorn -c python:wallet_hooks.server wsgi:app`.

WEB_CONCURRENCY sets the number of workers.
"""

import atexit
import gc
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from wallet_hooks.database import check_databases, open_engine
from wallet_hooks.finance.general_ledger import configured_codes
from wallet_hooks.ledger import currencies
from wallet_hooks.processors import pin_to, usable_processors
from wallet_hooks.settings import ConfigurationError, Settings
from wallet_hooks.web.connections import announce_closing, discard_input, has_unread_bytes
from wallet_hooks.web.countries import Countries


def _checked_settings() -> Settings:
    """Return the settings, checked once in the master; otherwise each worker would fail with a traceback.

    Raises ConfigurationError.
    """
    settings = Settings.from_env()
    Countries(settings.geoip_file)
    _check_console_directory(settings)
    configured_codes(settings)
    check_databases(settings)
    engine = open_engine(settings)
    currencies.initialize(engine, settings)
    engine.dispose()
    return settings


def _check_console_directory(settings: Settings) -> None:
    """Make the directory of the console's exports, if one is set. Raises ConfigurationError."""
    if settings.console_directory:
        directory = Path(settings.console_directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"WALLET_HOOKS_CONSOLE_DIRECTORY: {error}") from None
        _check_writable("WALLET_HOOKS_CONSOLE_DIRECTORY", directory)


def _check_writable(name: str, directory: Path) -> None:
    """Raise ConfigurationError unless the setting's directory is one that can be written."""
    if not os.access(directory, os.W_OK | os.X_OK) or not directory.is_dir():
        raise ConfigurationError(f"{name} is no directory that can be written")


def _raise_limit_of_files() -> int:
    """Raise the limit of open files, each connection being one, as far as the system allows. Return the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 2**20


def _number_of_workers(settings: Settings) -> int:
    """Return WEB_CONCURRENCY, or a worker for each processor that the service may use. Raises ConfigurationError.

    gunicorn reads the variable before, and ends where it is no number.
    """
    # SQLite has one writer at a time, so a second process would only wait for its lock.
    default = 1 if _is_on_sqlite(settings) else len(usable_processors())
    number = int(os.environ.get("WEB_CONCURRENCY", default))
    if number < 1:
        raise ConfigurationError("WEB_CONCURRENCY is the number of workers, from 1 on")
    return number


def _is_on_sqlite(settings: Settings) -> bool:
    return settings.database_url.startswith("sqlite")


def _directory_of_metrics() -> tuple[Path, bool]:
    """Return the directory of the workers' metrics, and whether it was created here and is to be removed.

    By default it is in memory, where a full disk does not reach it. Raises ConfigurationError.
    """
    configured = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if configured is None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
        try:
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory)), True
        except OSError as error:
            raise ConfigurationError(f"no directory for metrics, set PROMETHEUS_MULTIPROC_DIR: {error}") from None
    _check_writable("PROMETHEUS_MULTIPROC_DIR", Path(configured))
    return Path(configured), False


_PREFIX = "wallet-hooks-metrics-"
try:
    _settings = _checked_settings()
    workers = _number_of_workers(_settings)
    _metrics, _is_own_directory = _directory_of_metrics()
except ConfigurationError as error:
    sys.stderr.write(f"wallet-hooks: {error}\n")
    sys.exit(2)

bind = _settings.listen
worker_class = "wallet_hooks.worker.CallbackWorker"
# For all requests but the callbacks, which the worker's loop collects; under gthread for these, too.
threads = 32
keepalive = 30
graceful_timeout = 20
timeout = 30
worker_connections = min(2500, _raise_limit_of_files() // 2)
limit_request_line = 4094
# Headers that would change the path; gunicorn takes them from trusted addresses, and answers 500 to a wrong one.
forwarder_headers = ""
backlog = 2048
# Workers are not controlled from outside, so there is no control socket.
control_socket_disable = True
# The application logs one line per callback itself.
accesslog = None
logger_class = "wallet_hooks.server_log.ServerLog"

os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics)
from wallet_hooks import worker_metrics  # noqa: E402 - prometheus_client reads the variable at import

if _is_own_directory:
    _owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(_metrics, ignore_errors=True) if os.getpid() == _owner else None)
    _claim = worker_metrics.claim(_metrics)
    worker_metrics.remove_abandoned(_metrics.parent.glob(f"{_PREFIX}*"))
worker_metrics.reserve(_metrics, lambda _, reason: print(f"wallet-hooks: metrics: {reason}", file=sys.stderr))
# Imported in the master, so that each worker has the release of the master, also one that is forked after another
# release was installed.
from wallet_hooks import app as _application  # noqa: E402, F401
from wallet_hooks.database.revisions import newest_revision  # noqa: E402

newest_revision()  # reads the names of the release's migrations, once


def pre_fork(server: Any, worker: Any) -> None:
    """Choose the processor that the worker is pinned to: one with the fewest workers; None if it is not pinned.

    A worker's threads run one at a time anyway, and waking one on another processor costs more. Where there are fewer
    workers than processors, other services on the machine might choose the same ones, so the kernel chooses; not on
    SQLite, whose one worker gains most.
    """
    processors = usable_processors()
    taken = Counter(one.processor for one in server.WORKERS.values())
    is_pinned = _settings.pin_workers and (server.num_workers >= len(processors) or _is_on_sqlite(_settings))
    at_random = random.sample(processors, len(processors))
    worker.processor = min(at_random, key=taken.__getitem__) if is_pinned else None


def post_fork(server: Any, worker: Any) -> None:
    """Reserve the worker's metrics, pin it to a processor, and keep the signals that it gets before it handles them."""
    worker.early_signals = server.SIG_QUEUE
    report = partial(server.log.error, "metrics: no space in %s, this worker's are not counted: %s")
    worker_metrics.reserve(_metrics, report)
    if worker.processor is not None:
        pin_to(worker.processor)


def pre_exec(server: Any) -> None:
    """Let a new master (SIGUSR2) create its own directory of metrics: this master removes its when it ends."""
    if _is_own_directory:
        server.cfg.env_orig.pop("PROMETHEUS_MULTIPROC_DIR", None)


def pre_request(worker: Any, request: Any) -> None:
    """Announce in the answer's headers that the connection will be closed, if it will be."""
    announce_closing(request, lambda: bool(worker.alive))


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Discard unread input, so that the client can read the answer before the connection is closed.

    Our worker's loop does it itself, and takes no thread for it.
    """
    if getattr(worker, "receives", False):
        return
    if response is not None and response.headers_sent and has_unread_bytes(request):
        discard_input(environ["gunicorn.socket"])


def post_worker_init(worker: Any) -> None:
    """Freeze the objects of start-up and collect garbage rarely: requests leave no reference cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 10, 10)
    _obey_early_signals(worker)


def _obey_early_signals(worker: Any) -> None:
    """End a worker that was told to before it handled signals: the arbiter's handlers, which it inherits, queued them.

    gunicorn ignores them, and kills the worker after `graceful_timeout`, with the requests that it has accepted.
    """
    while not worker.early_signals.empty():
        if worker.early_signals.get_nowait() in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            worker.alive = False


def on_starting(server: Any) -> None:
    """Merge metrics that an earlier service left in a persistent directory."""
    _merge_metrics(server)


def child_exit(server: Any, worker: Any) -> None:
    """Merge the metrics of a worker that ended, and remove its count of connections."""
    if hasattr(worker, "release"):  # another worker class may be given on the command line
        worker.release()
    _merge_metrics(server)


def _merge_metrics(server: Any) -> None:
    """Merge metrics of ended processes. An error is logged and retried when the next worker ends."""
    report = partial(server.log.error, "metrics: %s is unreadable, its values are lost: %s")
    try:
        worker_metrics.merge_ended(_metrics, report)
    except OSError as error:
        server.log.error("metrics of an ended worker were not merged: %s", error)
