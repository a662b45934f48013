"""The machine's processors, and which of its processes get them."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_NICENESS = 19


def usable_processors() -> list[int]:
    """Return the processors that this process may use."""
    if sys.platform == "linux":  # a container may have fewer than the machine
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin_to(processor: int) -> None:
    """Let this process run on one processor only, where the system can do that."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {processor})


def lower_priority() -> None:
    """Leave the processors to other processes that want them."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    # Where Linux groups processes by session, niceness counts only within one; a session has a niceness of its own.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_NICENESS))
