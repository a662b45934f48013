"""Exports that run in the background, with progress, in a directory that all worker processes share.

Each export has a directory: `state.json` (who, what, rows so far, its end), the file, and its manifest. It is deleted
an hour after its last change.
"""

import json
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import DATABASE_ERRORS
from wallet_hooks.errors import NotFoundError, RefusedError, TryAgainError, WalletHooksError
from wallet_hooks.files import replace_atomically
from wallet_hooks.finance import exports
from wallet_hooks.finance.exports import Options
from wallet_hooks.finance.general_ledger import LEDGERS
from wallet_hooks.finance.manifests import RowProgress
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.logs import LOG
from wallet_hooks.settings import Settings

_ID = re.compile(r"[0-9a-f]{32}")
_KEPT_SECONDS = 3600
_LOST_SECONDS = 60  # a running export writes its state more often
_RUNNING = threading.BoundedSemaphore(2)
_STATE_SECONDS = 0.5
_DIRECTORY = "The directory for exports (WALLET_HOOKS_CONSOLE_DIRECTORY)"


@dataclass
class Export:
    """An export's state: its owner, file name and format, rows so far; then its manifest, or why it failed."""

    id: str
    owner: str
    file: str
    format: str
    rows: int = 0
    manifest: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def is_done(self) -> bool:
        return self.manifest is not None or self.error is not None


class Exports:
    """The exports of the console. Several machines need a shared directory (WALLET_HOOKS_CONSOLE_DIRECTORY)."""

    def __init__(self, settings: Settings) -> None:
        default = Path(tempfile.gettempdir()) / f"wallet-hooks-console-{os.getuid()}"
        self._directory = Path(settings.console_directory) if settings.console_directory else default

    def start(
        self, engine: Engine, report: str, format_: str, request: ReportRequest, options: Options, *, owner: str
    ) -> str:
        """Start an export and return its id. Raises RefusedError for bad parameters, TryAgainError if two run here."""
        exports.check(report, format_, request, options)
        if not _RUNNING.acquire(blocking=False):
            raise TryAgainError("Two exports are running in this process. Try again when one is done.")
        try:
            with ExitStack() as failed:
                failed.callback(_RUNNING.release)
                self._prune()
                export = Export(secrets.token_hex(16), owner, _file_name(report, format_, request), format_)
                self._path(export.id).mkdir(mode=0o700)
                self._write(export)
                ended = threading.Event()
                failed.callback(ended.set)
                writing_state = _thread(self._write_until, ended, export)
                writing_state.start()
                write = partial(exports.write_file, engine, report, format_, request, self.file(export), options)
                _thread(self._run, report, write, export, ended, writing_state).start()
                failed.pop_all()
        except OSError as error:
            LOG.error("export_failed", report=report, error=type(error).__name__)
            raise RefusedError("bad_directory", f"{_DIRECTORY}: {error.strerror}.") from None
        return export.id

    def find(self, id_: str, *, owner: str) -> Export:
        """Return an export of a member of staff. Raises NotFoundError."""
        path = self._path(id_) / "state.json" if _ID.fullmatch(id_) else None
        try:
            found = Export(**json.loads(path.read_text("utf-8"))) if path else None
            age = clock.wall_clock().timestamp() - path.stat().st_mtime if path else 0
        except OSError:
            found = None
        if found is None or found.owner != owner:
            raise NotFoundError("no such export; it is deleted an hour after it is done")
        if not found.is_done and age > _LOST_SECONDS:
            found.error = "The process that wrote this export has ended. Start it again."
        return found

    def file(self, export: Export) -> Path:
        """Return the path of a finished export's file."""
        return self._path(export.id) / export.file

    def _run(
        self,
        report: str,
        write: Callable[[RowProgress], dict[str, Any]],
        export: Export,
        ended: threading.Event,
        writing_state: threading.Thread,
    ) -> None:
        def progress(rows: int) -> None:
            export.rows += rows

        try:
            export.manifest = write(progress)
            export.rows = export.manifest["rows"]
        except WalletHooksError as error:
            export.error = str(error)
        except (OSError, *DATABASE_ERRORS) as error:
            export.error = "The export failed, because the disk or the database failed. Start it again."
            LOG.error("export_failed", report=report, error=type(error).__name__)
        finally:
            _RUNNING.release()
            ended.set()
            writing_state.join()
            self._write(export)

    def _write_until(self, ended: threading.Event, export: Export) -> None:
        """Write the state again and again, also while the database takes long for the next rows."""
        while not ended.wait(_STATE_SECONDS):
            with suppress(OSError):  # such as a full disk, which the export itself meets, too
                self._write(export)

    def _write(self, export: Export) -> None:
        with replace_atomically(self._path(export.id) / "state.json") as out:
            out.write(json.dumps(asdict(export)).encode())

    def _path(self, id_: str) -> Path:
        return self._directory / id_

    def _prune(self) -> None:
        """Make the directory, and delete exports that are too old. Raises RefusedError for another user's directory."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._directory.is_symlink() or self._directory.stat().st_uid != os.getuid():
            raise RefusedError("bad_directory", f"{_DIRECTORY}: the directory is not the service's own.")
        for path in self._directory.iterdir():
            if _ID.fullmatch(path.name) and clock.wall_clock().timestamp() - path.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _thread(work: Callable[..., None], *arguments: object) -> threading.Thread:
    return threading.Thread(target=work, args=arguments, name="console-export", daemon=True)


def _file_name(report: str, format_: str, request: ReportRequest) -> str:
    """Return a name with the period; files for general ledgers are CSV, and have the ledger's name."""
    name = f"{report}_{request.first}_{request.last}"
    return f"{name}_{format_}.csv" if format_ in LEDGERS else f"{name}.{format_}"
