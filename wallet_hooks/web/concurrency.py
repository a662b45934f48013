"""Limits on how many requests of a kind run at a time, so that they leave threads to others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from wallet_hooks.errors import TryAgainError


class ConcurrencyLimit:
    """Lets `running` callers run at a time; up to `admitted` in all, the others wait, at most `timeout` seconds."""

    def __init__(self, what: str, *, running: int, admitted: int, timeout: float | None = None) -> None:
        self._message = f"too many {what} at the same time: try again later"
        self._running = threading.BoundedSemaphore(running)
        self._admitted = threading.BoundedSemaphore(admitted)
        self._timeout = timeout

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Run the block once fewer callers run. Raises TryAgainError if too many wait, or after the time-out."""
        if not self._admitted.acquire(blocking=False):
            raise TryAgainError(self._message)
        try:
            if not self._running.acquire(timeout=self._timeout):
                raise TryAgainError(self._message)
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()
