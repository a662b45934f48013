"""The queue by which threads have the loop do something."""

import os

from gunicorn.workers.gthread import PollableMethodQueue


class MethodQueue(PollableMethodQueue):  # type: ignore[misc]
    """gunicorn's queue, with a pipe that can be closed while threads still work."""

    _read_fd: int
    _write_fd: int

    def close(self) -> None:
        """Close the pipe. A thread that ends later must not write to another file that has got its number."""
        descriptors = self._read_fd, self._write_fd
        self._read_fd = self._write_fd = -1
        for descriptor in descriptors:
            os.close(descriptor)
