"""Which processors a process may use, and its priority."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wallet_hooks.processors import pin_to, usable_processors


def test_only_processors_that_the_process_may_use_are_counted() -> None:
    def usable_after_pinning(processor: int) -> list[int]:
        pin_to(processor)
        return usable_processors()

    for processor in usable_processors():
        with ThreadPoolExecutor(1) as thread:  # Linux pins the calling thread
            assert thread.submit(usable_after_pinning, processor).result() == [processor]


def test_a_system_that_cannot_pin_uses_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    pin_to(0)
    assert usable_processors() == list(range(os.cpu_count() or 1))


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="needs Linux with groups of processes by session")
@pytest.mark.parametrize(("has_session", "niceness"), [(True, "nice 19"), (False, "nice 0")])
def test_a_process_lowers_the_priority_of_its_session_if_that_is_its_own(has_session: bool, niceness: str) -> None:
    script = """
import os
from wallet_hooks.processors import lower_priority
lower_priority()
print(os.getpriority(os.PRIO_PROCESS, 0), open("/proc/self/autogroup").read())
"""
    command = [sys.executable, "-c", script]
    if not has_session:  # the shell is the leader of the session
        command = ["sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, script]
    printed = subprocess.run(command, start_new_session=True, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("19 ")
    assert printed.strip().endswith(niceness)
