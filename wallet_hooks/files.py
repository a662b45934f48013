"""Atomic file replacement."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT
from pathlib import Path
from typing import BinaryIO


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
        with temporary.open("wb") as out:
            yield out
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file or not there yet. A pipe, a device or a link (/dev/stdout) is neither."""
    return not path.is_symlink() and (path.is_file() or not path.exists())
