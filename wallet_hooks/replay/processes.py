"""Runs cases in several processes, each part of them on a temporary database of its own."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from wallet_hooks import money
from wallet_hooks.logs import log_errors_only
from wallet_hooks.processors import usable_processors
from wallet_hooks.replay.case_database import copied_database_factory, temporary_template
from wallet_hooks.replay.fixture import CaseSequence
from wallet_hooks.replay.groups import split
from wallet_hooks.replay.running import CaseResult, RunOptions, run_sequences

CASES_PER_PART = 500  # they take about two seconds


class _Part(NamedTuple):
    """Sequences that one process runs one after the other, on copies of a template database."""

    sequences: list[CaseSequence]
    options: RunOptions
    template: Path


def run_in_processes(
    sequences: Sequence[CaseSequence], options: RunOptions, *, processes: int | None = None
) -> Iterator[CaseResult]:
    """Yield the results of sequences, part by part; by default with a process for each processor that may be used.

    Captures are split into parts that have no customer, bet or betslip in common. The ledger's invariants and the
    second pass are checked in each part.
    """
    with temporary_template() as template:
        parts = [_Part(part, options, template) for part in _parts(sequences)]
        workers = min(len(parts), processes or len(usable_processors()))
        spawn = multiprocessing.get_context("spawn")
        reader, writer = spawn.Pipe(duplex=False)
        pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_prepare_worker, initargs=(reader,))
        try:
            with _signals_blocked():  # a worker that is not started completely would wait for ever
                running = deque(pool.submit(_run, part) for part in parts)
            while running:
                yield from running.popleft().result()
        finally:
            # Ends the workers, also where the caller stops before the end. Nothing is cancelled before: a pool that
            # finds a cancelled call when its workers have ended would not be shut down (until Python 3.13).
            writer.close()
            pool.shutdown()


def prepare_process() -> None:
    """Prepare this process for cases: they have currencies of their own, and a log line each would hide the reports."""
    money.set_stored_reader(dict)
    log_errors_only()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    resource_tracker.ensure_running()  # started later, it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(reader: Connection) -> None:
    """Prepare a worker. Signals stay blocked: it ends when the command closes the pipe, or ends in whatever way."""
    threading.Thread(target=_end_with_pipe, args=[reader], daemon=True).start()
    prepare_process()


def _end_with_pipe(reader: Connection) -> None:
    reader.poll(None)
    os._exit(1)


def _run(part: _Part) -> list[CaseResult]:
    with (
        TemporaryDirectory(dir=part.template.parent) as directory,  # removed by the parent, if this process is ended
        copied_database_factory(part.template, Path(directory) / "case.db") as new_database,
    ):
        return list(run_sequences(part.sequences, new_database, part.options))


def _parts(sequences: Sequence[CaseSequence]) -> list[list[CaseSequence]]:
    """Return the sequences in parts of about the same number of cases."""
    parts: list[list[CaseSequence]] = [[]]
    for sequence in (one for whole in sequences for one in split(whole, CASES_PER_PART)):
        if sum(len(one.cases) for one in parts[-1]) >= CASES_PER_PART:
            parts.append([])
        parts[-1].append(sequence)
    return parts
