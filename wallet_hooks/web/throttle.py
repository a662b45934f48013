"""A cap on how often a caller may do something in a time, counted in this worker process."""

import threading
from collections.abc import Hashable

from wallet_hooks import clock

_MOST_CALLERS = 100_000  # whose calls are counted at a time


class Throttle:
    """Counts the calls of the current period, by default a second, by caller.

    Periods follow each other; all counts begin again with each, and where 100,000 callers are counted.
    """

    def __init__(self, most: int, *, seconds: int = 1) -> None:
        self._most = most
        self._seconds = seconds
        self._lock = threading.Lock()
        self._period = 0
        self._counts: dict[Hashable, int] = {}

    def allows(self, caller: Hashable) -> bool:
        """Count a call. Return whether the caller is within the cap."""
        with self._lock:
            period = self._current_period()
            if period != self._period or len(self._counts) >= _MOST_CALLERS:
                self._period = period
                self._counts.clear()
            count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return count <= self._most

    def has_reached(self, caller: Hashable) -> bool:
        """Return whether the caller has reached the cap; the question does not count."""
        with self._lock:
            return self._period == self._current_period() and self._counts.get(caller, 0) >= self._most

    def _current_period(self) -> int:
        return int(clock.monotonic() / self._seconds)
