"""The number of connections of each worker of a service, in memory that all of them share."""

import mmap

_SLOTS = 256


class ConnectionCounts:
    """Counts by worker; workers are numbered from 1, and far fewer than 256 run at a time.

    Create it before the workers are forked.
    """

    def __init__(self) -> None:
        # Each is the number of connections plus 1; 0 where there is no worker.
        self._counts = memoryview(mmap.mmap(-1, _SLOTS * 4)).cast("I")

    def publish(self, worker: int, connections: int) -> None:
        """Set the count of a worker."""
        self._counts[worker % _SLOTS] = connections + 1

    def remove(self, worker: int) -> None:
        """Remove a worker that accepts no more."""
        self._counts[worker % _SLOTS] = 0

    def others_have_fewer(self, worker: int, connections: int) -> bool:
        """Return whether another worker has fewer than that many connections."""
        counts = self._counts.tolist()
        counts[worker % _SLOTS] = 0
        return 0 < min(filter(None, counts), default=0) <= connections

    def mean(self) -> float:
        """Return how many connections a worker has on average; at least one must have published its count."""
        counts = [count - 1 for count in self._counts if count]
        return sum(counts) / len(counts)
