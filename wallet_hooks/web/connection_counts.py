"""The number of connections of each worker of a service, in memory that all of them share."""

import mmap
import struct

_SLOTS = 256
_COUNT = struct.Struct("I")


class ConnectionCounts:
    """Counts by worker; workers are numbered from 1, and far fewer than 256 run at a time.

    Create it before the workers are forked.
    """

    def __init__(self) -> None:
        # Each is the number of connections plus 1; 0 where there is no worker.
        self._counts = mmap.mmap(-1, _SLOTS * _COUNT.size)

    def publish(self, worker: int, connections: int) -> None:
        """Set the count of a worker."""
        self._write(worker, connections + 1)

    def remove(self, worker: int) -> None:
        """Remove a worker that accepts no more."""
        self._write(worker, 0)

    def others_have_fewer(self, worker: int, connections: int) -> bool:
        """Return whether another worker has fewer than that many connections."""
        slot = worker % _SLOTS
        counts = (count for number, (count,) in enumerate(_COUNT.iter_unpack(self._counts[:])) if number != slot)
        return any(count and count - 1 < connections for count in counts)

    def _write(self, worker: int, count: int) -> None:
        _COUNT.pack_into(self._counts, worker % _SLOTS * _COUNT.size, count)
