"""Merges and reads the metric files of the workers, in the format of prometheus_client's multiprocess mode.

A process that ended leaves its files. Their values are added to one file per kind (`counter_merged.db`,
`histogram_merged.db`) and the files are removed, under a lock that readers share: no value is counted twice, and no
counter decreases. The directory is used by the processes of one machine only.
"""

import fcntl
import os
import shutil
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client import Metric, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from wallet_hooks.files import replace_atomically

ReportUnreadable = Callable[[Path, str], None]  # called with a file that was skipped, and why

_MERGED = "merged"
_OWNER = "owner"
_KINDS = ("counter", "histogram")  # of the service's own metrics
_SUMMED_KINDS = ("counter", "histogram", "summary")  # gauges of ended processes are dropped
_RESERVED = 256 * 1024  # bytes of a file: several times what all labels together need
_LOCK_ATTEMPTS = 100
_LOCK_PAUSE = 0.01  # seconds


def claim(directory: Path) -> int:
    """Mark a directory as in use until this process and its forks have ended. Returns a descriptor to keep open."""
    marker = directory / f".{_OWNER}"
    file = os.open(marker, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    marker.rename(directory / _OWNER)  # so the marker is never visible without its lock
    return file


def reserve(directory: Path, report: ReportUnreadable) -> None:
    """Reserve the space of this process's files. Otherwise it would be killed when it writes and there is none.

    If that fails, it is reported, and the process keeps its values to itself. Call it before a metric is changed.
    """
    files = [directory / f"{kind}_{os.getpid()}.db" for kind in _KINDS]
    storage: type[Any] = MmapedDict
    try:
        for path in files:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVED)
    except OSError as error:
        report(directory, str(error))
        for path in files:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        storage = _OwnValues
    values.MmapedDict = storage  # type: ignore[attr-defined]


class _OwnValues:
    """Values of one process that no other one reads, in place of prometheus_client's mapped file."""

    def __init__(self, _file: str) -> None:
        self._values: dict[str, tuple[float, float]] = {}

    def read_value(self, key: str) -> tuple[float, float]:
        return self._values.setdefault(key, (0.0, 0.0))

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        self._values[key] = value, timestamp

    def close(self) -> None:
        """Do nothing: there is no file."""


def remove_abandoned(directories: Iterable[Path]) -> None:
    """Remove claimed directories whose processes have all ended; after kill -9 no process removed them."""
    for directory in directories:
        try:
            if directory.lstat().st_uid != os.getuid():
                continue  # what is in it is not to be opened: another user may have put a pipe there
            with (directory / _OWNER).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory)
        except OSError:  # in use, or already removed
            continue


def merge_ended(directory: Path, report: ReportUnreadable) -> None:
    """Add the values of processes that ended to the merged files, and remove the processes' files.

    Unreadable files are reported and removed. Does nothing if readers hold the lock for a second, because a reader that
    hangs must not stop the caller. Raises OSError if the directory cannot be written.
    """
    with _lock(directory, shared=False) as is_held:
        if is_held:
            for kind, files in _files_of_ended(directory).items():
                if kind in _SUMMED_KINDS:
                    _merge(directory / f"{kind}_{_MERGED}.db", files, report)
                for file in files:
                    file.unlink()


def collect(directory: Path, report: ReportUnreadable) -> list[Metric]:
    """Return all metrics, summed over the processes. Unreadable files are reported and left out."""
    with _lock(directory, shared=True):
        files = [str(file) for file in sorted(directory.glob("*.db")) if _read(file, report) is not None]
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


@contextmanager
def _lock(directory: Path, *, shared: bool) -> Iterator[bool]:
    """Hold the directory's lock, shared with other readers or exclusive. Yields whether it was acquired."""
    with (directory / "lock").open("ab") as file:
        if shared:
            fcntl.flock(file, fcntl.LOCK_SH)
        yield shared or _try_exclusive(file.fileno())


def _try_exclusive(file: int) -> bool:
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE)
        else:
            return True
    return False


def _files_of_ended(directory: Path) -> dict[str, list[Path]]:
    """Return the files of ended processes by kind; names are like `counter_4711.db` or `gauge_livesum_4711.db`."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(directory.glob("*_*.db")):
        pid = file.stem.rpartition("_")[2]
        if pid.isdecimal() and not _is_running(int(pid)):
            found[file.name.partition("_")[0]].append(file)
    return found


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _merge(merged: Path, files: Iterable[Path], report: ReportUnreadable) -> None:
    sums: dict[str, float] = defaultdict(float)
    for file in (merged, *files):
        if file.exists():
            for key, value in (_read(file, report) or {}).items():
                sums[key] += value
    with replace_atomically(merged) as out:
        out.write(_encode(sums))


def _read(file: Path, report: ReportUnreadable) -> dict[str, float] | None:
    """Return a file's values by key, or None (reported) if prometheus_client cannot read it."""
    try:
        MultiProcessCollector.merge([str(file)])  # type: ignore[no-untyped-call]
        return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(file)}  # type: ignore[no-untyped-call]
    except (OSError, struct.error, RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
        report(file, f"{type(error).__name__}: {error}")
        return None


def _encode(values: dict[str, float]) -> bytes:
    """Return values in MmapedDict's format. Not written by mapping a file: a full disk kills a process that does."""
    entries = []
    for key, value in values.items():
        encoded = key.encode()
        padded = encoded + b" " * (8 - (len(encoded) + 4) % 8)
        entries.append(struct.pack(f"i{len(padded)}sdd", len(encoded), padded, value, 0.0))
    body = b"".join(entries)
    return struct.pack("ii", 8 + len(body), 0) + body
