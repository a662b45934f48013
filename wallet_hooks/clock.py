"""The only module that reads clocks; other code gets the time as an argument `now`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

# Instants and days of other years are not accepted: what is derived from them may overflow datetime.
FIRST_YEAR, LAST_YEAR = 1970, 2199
_fixed_now: datetime | None = None


def now() -> datetime:
    """Return the current time in UTC, or the time that was set with `set_now`."""
    return wall_clock() if _fixed_now is None else _fixed_now


def wall_clock() -> datetime:
    """Return the current time in UTC, regardless of `set_now`."""
    return datetime.now(UTC)


def wall_seconds() -> int:
    """Return the whole seconds of `wall_clock` since the epoch, in a fraction of its time."""
    return int(time.time())


def set_now(instant: datetime | None) -> None:
    """Make `now` return a fixed instant (UTC) in this process until the next call; None restores the wall clock.

    For replays only.
    """
    global _fixed_now  # noqa: PLW0603 - a process has one clock
    _fixed_now = instant


@contextmanager
def restored_wall_clock() -> Iterator[None]:
    """Restore the wall clock when the block ends."""
    try:
        yield
    finally:
        set_now(None)


def parse_instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 time in UTC; a time without an offset is UTC. Raises ValueError."""
    found = datetime.fromisoformat(text)
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError("a year that is not accepted") from None


def monotonic() -> float:
    """Return monotonic seconds, for durations and deadlines."""
    return time.monotonic()
