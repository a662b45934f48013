"""Atomic file replacement."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replace_atomically(path: Path) -> Iterator[BinaryIO]:
    """Replace a file atomically: write a temporary file next to it and rename it when the block ends.

    If the block raises, the file is unchanged. A path that is not a regular file, such as a pipe, is written directly.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as out:
            yield out
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as out:
            yield out
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
