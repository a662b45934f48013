"""A cap on how often a caller may do something in one second, counted in this worker process."""

import threading
from collections.abc import Hashable

from wallet_hooks import clock


class Throttle:
    """Counts the current second's calls by caller."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._lock = threading.Lock()
        self._second = 0
        self._counts: dict[Hashable, int] = {}

    def allows(self, caller: Hashable) -> bool:
        """Count a call. Return whether the caller is within the cap."""
        with self._lock:
            second = int(clock.monotonic())
            if second != self._second:
                self._second = second
                self._counts.clear()
            count = self._counts[caller] = self._counts.get(caller, 0) + 1
        return count <= self._per_second
