"""The only reader of clocks: everything below the edges is handed its time."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that never run backwards, for durations and deadlines."""
    return time.monotonic()
