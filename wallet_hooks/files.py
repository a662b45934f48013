"""Atomic file replacement."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replace_atomically(path: Path) -> Iterator[BinaryIO]:
    """Replace a file atomically: write a temporary file next to it and rename it when the block ends.

    If the block raises, the file is unchanged. A path that is not a regular file is written directly. Raises OSError
    where the file cannot be written.
    """
    if not is_regular(path):
        with path.open("wb") as out:
            yield out
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(ENOENT, "its directory does not exist", str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with io.BufferedWriter(_StoredFile(temporary, "w")) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


_STORED_AT_ONCE = 8 * 2**20  # bytes


class _StoredFile(io.FileIO):
    """A file that goes to the disk while it is written.

    All of a large one at its end would keep the disk from others, and a database from its commits.
    """

    _stored = 0

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        assert count is not None, "the file blocks"
        if self.tell() - self._stored >= _STORED_AT_ONCE:
            if hasattr(os, "posix_fadvise"):  # with which Linux begins to write, and does not wait for the disk
                os.posix_fadvise(self.fileno(), self._stored, 0, os.POSIX_FADV_DONTNEED)
            self._stored = self.tell()
        return count


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file or not there yet. A pipe, a device or a link (/dev/stdout) is neither."""
    return not path.is_symlink() and (path.is_file() or not path.exists())
