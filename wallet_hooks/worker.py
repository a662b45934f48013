"""A gunicorn worker class: gthread, with connections spread evenly over the workers.

All workers wait for connections on the same listening socket, and whichever wakes up first accepts. With 32 connections
and two workers, one may get 26 of them and the other 6, and one processor is idle while the other is the limit. This
class differs from gunicorn's ThreadWorker in one point: a worker with more connections than another leaves a new one to
it for a moment, and accepts it only if it still waits then.
"""

import mmap
import struct
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from wallet_hooks import clock

_PAUSE = 0.002  # seconds
_SLOTS = 256
_COUNT = struct.Struct("I")
# The number of connections of each worker, plus 1; 0 where there is no worker. Created in the master, before it forks.
_counts = mmap.mmap(-1, _SLOTS * _COUNT.size)


class EvenThreadWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that leaves new connections to workers with fewer ones."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._resume_at: float | None = None
        self._has_paused = False

    def init_process(self) -> None:
        """Run the worker, in its own process."""
        self._publish_count()
        super().init_process()

    def release(self) -> None:
        """Remove the worker from those that others leave connections to; called in the master when it has ended."""
        self._write_count(0)

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker has fewer and this is the first attempt."""
        if not self._has_paused and self._other_has_fewer():
            self._resume_at = clock.monotonic() + _PAUSE
            self.set_accept_enabled(False)
            return
        self._has_paused = False
        super().accept(listener)
        self._publish_count()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Enable or disable accepting; it stays disabled while a connection is left to another worker."""
        if not (enabled and self._resume_at is not None):
            super().set_accept_enabled(enabled)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handle events as the base class does, but at most until a pause ends."""
        if self._resume_at is not None:
            timeout = min(timeout, max(self._resume_at - clock.monotonic(), 0))
        super().wait_for_and_dispatch_events(timeout)
        self._publish_count()
        if self._resume_at is not None and clock.monotonic() >= self._resume_at:
            self._resume_at, self._has_paused = None, True

    @property
    def _slot(self) -> int:
        """The place of this worker's count; the arbiter numbers workers from 1."""
        return int(self.age) % _SLOTS

    def _other_has_fewer(self) -> bool:
        counts = (count for slot, (count,) in enumerate(_COUNT.iter_unpack(_counts[:])) if slot != self._slot)
        return any(count and count - 1 < self.nr_conns for count in counts)

    def _publish_count(self) -> None:
        self._write_count(self.nr_conns + 1)

    def _write_count(self, count: int) -> None:
        _COUNT.pack_into(_counts, self._slot * _COUNT.size, count)
