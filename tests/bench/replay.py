"""Replay at scale: record stored callbacks, redact them, and run them in process."""

import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from tests.bench.finance import environment
from tests.bench.load import Measured
from wallet_hooks.database import open_engine, reading
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.settings import Settings

_COMMAND = str(Path(sys.executable).with_name("wallet-hooks"))


def show(url: str, served: Measured, callbacks: int) -> None:
    """Measure a replay of the first stored callbacks."""
    with tempfile.TemporaryDirectory() as directory:
        full, part = Path(directory) / "full.jsonl", Path(directory) / "part.jsonl"
        redacted = Path(directory) / "redacted.jsonl"
        _timed(url, "record", "--to", _after(url, callbacks), "-o", str(full))
        with full.open() as lines, part.open("w") as first:
            first.writelines(line for _, line in zip(range(callbacks), lines, strict=False))
        _timed(url, "redact", str(part), "-o", str(redacted))
        seconds = _timed(url, "run", str(redacted))
    print(f"{f'replay of {callbacks:,} captured callbacks':<44} {seconds:>9.1f} s   (target: 30 s for 10,000)")
    print(f"{'  against single bets served':<44} {callbacks / seconds / served.per_second:>9.2f}", flush=True)


def _after(url: str, callbacks: int) -> str:
    """Return an instant at which about that many callbacks, or all, were received."""
    engine = open_engine(Settings(database_url=url))
    with reading(engine) as session:
        times = session.scalars(select(Delivery.received_at).order_by(Delivery.received_at).limit(callbacks)).all()
    engine.dispose()
    return (times[-1] + timedelta(milliseconds=1)).isoformat()


def _timed(url: str, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([_COMMAND, "replay", *arguments], env=environment(url), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
