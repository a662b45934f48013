"""The numbers of connections of each worker of a service, in memory that all of them share."""

import mmap
from typing import NamedTuple

_SLOTS = 256
_SHIFT = 32  # bits


class Connections(NamedTuple):
    """How many connections a worker has, and how many of them are active: opened or answered a moment ago."""

    active: int
    all: int

    def has_fewer_than(self, other: "Connections") -> bool:
        """Return whether a worker has fewer active connections than another one or, of as many, fewer in all.

        With many connections a small difference does not matter. If it did, workers would wait for each other while
        thousands of clients connect.
        """
        return _is_fewer(self.active, other.active) or (self.active <= other.active and _is_fewer(self.all, other.all))


def _is_fewer(count: int, other: int) -> bool:
    return count < other - other // 32


class ConnectionCounts:
    """Counts by worker; workers are numbered from 1, and far fewer than 256 run at a time.

    Create it before the workers are forked.
    """

    def __init__(self) -> None:
        # Each is the numbers of active and of all connections in one number, plus 1; 0 where there is no worker.
        self._counts = memoryview(mmap.mmap(-1, _SLOTS * 8)).cast("Q")

    def publish(self, worker: int, connections: Connections) -> None:
        """Set the counts of a worker."""
        self._counts[worker % _SLOTS] = (connections.active << _SHIFT) + connections.all + 1

    def remove(self, worker: int) -> None:
        """Remove a worker that accepts no more."""
        self._counts[worker % _SLOTS] = 0

    def others_have_fewer(self, worker: int, connections: Connections) -> bool:
        """Return whether another worker has fewer connections than this one with so many."""
        counts = self._counts.tolist()
        counts[worker % _SLOTS] = 0
        return any(_read(count).has_fewer_than(connections) for count in counts if count)

    def mean_active(self) -> float:
        """Return how many active connections a worker has on average; at least one must have published its count."""
        active = [_read(count).active for count in self._counts if count]
        return sum(active) / len(active)


def _read(count: int) -> Connections:
    return Connections(*divmod(count - 1, 1 << _SHIFT))
