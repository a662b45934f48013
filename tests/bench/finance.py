"""Time and peak memory of the end-of-day finance commands on a full ledger, each in its own process."""

import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from wallet_hooks.database import open_engine, reading
from wallet_hooks.settings import Settings

_COMMAND = str(Path(sys.executable).with_name("wallet-hooks"))


class Cost(NamedTuple):
    """Seconds from start to exit, and peak memory of the process in mebibytes."""

    seconds: float
    megabytes: float


def show(url: str, tpcb: float) -> None:
    """Measure exports, verify and a reconciliation on a database full of wagers; `tpcb` is in transactions a second."""
    engine = open_engine(Settings(database_url=url))
    with reading(engine) as session, tempfile.TemporaryDirectory() as directory:
        entries = session.scalar(text("SELECT count(*) FROM ledger_entry")) or 0
        empty = _run(url, "export", "journal", "--to", "2000-01-01", "-o", f"{directory}/empty")
        for format_ in ("csv", "parquet"):
            cost = _run(url, "export", "journal", "--format", format_, "-o", f"{directory}/journal")
            rate = entries / (cost.seconds - empty.seconds)
            _print(
                f"export of {entries:,} entries as {format_}",
                cost,
                f"{rate:>9,.0f} entries/s   {rate / tpcb:,.0f} × TPC-B   (target: 400,000 /s)",
            )
        _print(f"verify of {entries:,} entries", _run(url, "verify"), "(target: 12 s for a million)")
        report = Path(directory) / "report.csv"
        count, first, last = _write_report(session, report)
        cost = _run(url, "reconcile", "--provider", "betflex", "--from", first, "--to", last, str(report))
        _print(f"reconciliation of {count:,} lines", cost, "(target: 60 s for a million)")
    engine.dispose()


@contextmanager
def exporting(url: str) -> Iterator[None]:
    """Export the journal repeatedly until the block ends, each time in a session of its own, as cron would.

    The block begins once the first export writes.
    """
    ended = threading.Event()

    def export(directory: str) -> None:
        command = [_COMMAND, "export", "journal", "-o", f"{directory}/journal"]
        while not ended.is_set():
            process = subprocess.Popen(command, env=environment(url), stderr=subprocess.DEVNULL, start_new_session=True)
            while process.poll() is None and not ended.wait(0.1):
                pass
            if process.returncode:
                raise SystemExit(f"wallet-hooks export: exit {process.returncode}")
            process.terminate()
            process.wait()

    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(1) as thread:
        running = thread.submit(export, directory)
        try:
            while not running.done() and not any(file.stat().st_size for file in Path(directory).glob(".*.part")):
                time.sleep(0.05)
            if not running.done():
                yield
        finally:
            ended.set()
            running.result()


def _write_report(session: Session, path: Path) -> tuple[int, str, str]:
    """Write a provider's report of all wagers. Return the number of lines, and the first and last day (UTC)."""
    query = text("SELECT client, uid, currency, stake, placed_at FROM wager WHERE cost IS NOT NULL")
    days = set()
    count = 0
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["brand", "bet", "currency", "stake"])
        for client, uid, currency, stake, placed_at in session.execute(query.execution_options(yield_per=5000)):
            writer.writerow([client, uid, currency, f"{stake // 100}.{stake % 100:02}"])
            days.add(placed_at.date().isoformat())
            count += 1
    return count, min(days), max(days)


def _run(url: str, *arguments: str) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen([_COMMAND, *arguments], env=environment(url), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"wallet-hooks {' '.join(arguments)}: exit {process.returncode}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


def environment(url: str) -> dict[str, str]:
    return os.environ | {"WALLET_HOOKS_DATABASE_URL": url}


def _print(what: str, cost: Cost, more: str) -> None:
    print(f"{what:<44} {cost.seconds:>9.1f} s   {cost.megabytes:4.0f} MB   {more}", flush=True)
