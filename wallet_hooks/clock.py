"""The only reader of clocks: everything below the edges is handed its time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_set_to: datetime | None = None


def now() -> datetime:
    """The wall clock, in UTC, or what it is set to."""
    return wall() if _set_to is None else _set_to


def wall() -> datetime:
    """The wall clock, in UTC, whatever `now` is set to."""
    return datetime.now(UTC)


def set_to(instant: datetime | None) -> None:
    """Let `now` say an instant (UTC) in this whole process, until told otherwise; None for the wall clock again.

    For replaying what happened then; nothing else calls it.
    """
    global _set_to  # noqa: PLW0603 - a clock is one for all
    _set_to = instant


@contextmanager
def put_back() -> Iterator[None]:
    """Have the wall clock again when the block ends."""
    try:
        yield
    finally:
        set_to(None)


def monotonic() -> float:
    """Seconds that never run backwards, for durations and deadlines."""
    return time.monotonic()
