"""Replay at scale: record stored callbacks, redact them, and run them in process."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.finance import environment
from tests.bench.load import Measured

_COMMAND = str(Path(sys.executable).with_name("wallet-hooks"))


def show(url: str, served: Measured, callbacks: int) -> None:
    """Measure a replay of the first stored callbacks."""
    with tempfile.TemporaryDirectory() as directory:
        full, part = Path(directory) / "full.jsonl", Path(directory) / "part.jsonl"
        redacted = Path(directory) / "redacted.jsonl"
        _timed(url, "record", "-o", str(full))
        with full.open() as lines, part.open("w") as first:
            first.writelines(line for _, line in zip(range(callbacks), lines, strict=False))
        _timed(url, "redact", str(part), "-o", str(redacted))
        seconds = _timed(url, "run", str(redacted))
    print(f"{f'replay of {callbacks:,} captured callbacks':<44} {seconds:>9.1f} s   (target: 30 s for 10,000)")
    print(f"{'  against single bets served':<44} {callbacks / seconds / served.per_second:>9.2f}", flush=True)


def _timed(url: str, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([_COMMAND, "replay", *arguments], env=environment(url), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
