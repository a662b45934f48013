"""Throughput of the callbacks in several situations, against TPC-B in the same run.

The situations are measured in rounds, in another order in each, because single measurements on one machine differ more
than the situations do.
"""

import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests import postgresql
from tests.bench import load
from tests.bench.load import Measured
from tests.bench.serving import Service, processor_time, served

PER_REQUEST = 100


class Situation(NamedTuple):
    """What is measured: `send` puts load on an address, with bet ids from a number on."""

    name: str
    send: Callable[[str, int], Measured]
    bets: int = 1  # a request
    worker_class: str | None = None
    database: str = "new"  # or "full", or "SQLite"
    is_warm: bool = True  # the service has answered requests before


class Figures(NamedTuple):
    """Bets per second, 99th percentile of latency in ms, and processor time in µs a bet by process."""

    per_second: float
    p99: float
    bad: float  # answers other than 200
    service: float
    postgresql: float
    load: float


class Table:
    """Measures the situations on databases that `prepare` has filled with customers, and on one full of wagers."""

    def __init__(
        self, server: postgresql.Server, prepare: Callable[[str], None], full: str, *, seconds: int, requests: int
    ) -> None:
        self._server = server
        self._full = full
        self._prepare = prepare
        self._seconds = seconds
        self._requests = requests
        self._next = 10**7
        self._placed: list[range] = []

    def show(self, rounds: int) -> float:
        """Measure and print the table. Return the median of TPC-B, in transactions per second."""
        self._server.create("bench_callbacks")
        url = self._server.url("bench_callbacks")
        self._prepare(url)
        measured: dict[str, list[Figures]] = {}
        tpcb = []
        for number in range(rounds):
            tpcb.append(self._tpcb())
            order = self._situations()
            random.Random(number).shuffle(order)
            for situation in order:
                with self._database(url, situation) as database:
                    measured.setdefault(situation.name, []).append(self._measure(database, situation))
            tpcb.append(self._tpcb())  # all others are compared to it, so it is measured twice a round
        _print(self._situations(), measured, tpcb, self._seconds)
        return median(tpcb)

    def _situations(self) -> list[Situation]:
        return [
            Situation("one bet, 32 connections", self._single),
            Situation("one bet, 256 connections", self._many_connections),
            Situation("one bet, on the full database", self._single, database="full"),
            Situation("one bet, first second of a service", self._first_second, is_warm=False),
            Situation("one bet, 32 connections, gthread", self._single, worker_class="gthread"),
            Situation("one bet, all of one customer", self._hot),
            Situation("one bet, 32 connections, SQLite", self._single, database="SQLite"),
            Situation("100 bets a request, 32 connections", self._bets, bets=PER_REQUEST),
            Situation("100 bets a request, gthread", self._bets, bets=PER_REQUEST, worker_class="gthread"),
            Situation("100 settlements a request", self._settlements, bets=PER_REQUEST),
        ]

    @contextmanager
    def _database(self, url: str, situation: Situation) -> Iterator[str]:
        if situation.database != "SQLite":
            yield self._full if situation.database == "full" else url
            return
        with tempfile.TemporaryDirectory() as directory:
            own = f"sqlite:///{directory}/bench.db"
            self._prepare(own)
            yield own

    def _measure(self, url: str, situation: Situation) -> Figures:
        with served(url, worker_class=situation.worker_class) as service:
            if situation.is_warm:  # connections, caches, plans
                load.single_bets(service.address, first=self._numbers(10**6), seconds=1)
            if situation.bets > 1:  # warms this path, and places what is to be settled
                self._bets(service.address, self._numbers(10**6))
            before = self._times(service)
            measured = situation.send(service.address, self._numbers(10**6))
            after = self._times(service)
        bets = measured.answers * situation.bets
        times = ((end - begin) / bets for begin, end in zip(before, after, strict=True))
        return Figures(measured.per_second * situation.bets, measured.p99, measured.bad, *times)

    def _times(self, service: Service) -> tuple[float, float, float]:
        """Return the processor time of the service, of PostgreSQL, and of this process with its ended children."""
        postmaster = int((Path(self._server.socket_dir) / "postmaster.pid").read_text().split()[0])
        return processor_time(service.pid), processor_time(postmaster), sum(os.times()[:4]) * 1e6

    def _numbers(self, count: int) -> int:
        self._next += count
        return self._next - count

    def _single(self, address: str, first: int) -> Measured:
        return load.single_bets(address, first=first, seconds=self._seconds)

    def _first_second(self, address: str, first: int) -> Measured:
        return load.single_bets(address, first=first, seconds=1)

    def _many_connections(self, address: str, first: int) -> Measured:
        return load.single_bets(address, first=first, seconds=self._seconds, connections=256)

    def _hot(self, address: str, first: int) -> Measured:
        bodies = (load.placed([number], customer=1) for number in iter(range(first, first + 10**6)))
        return load.send(address, "/bets", bodies, seconds=self._seconds)

    def _bets(self, address: str, first: int) -> Measured:
        self._placed = list(load.chunks(first, self._requests, PER_REQUEST))
        bodies = [load.placed(numbers) for numbers in self._placed]
        return load.send(address, "/bets", bodies)

    def _settlements(self, address: str, _first: int) -> Measured:
        bodies = [load.settled(numbers) for numbers in self._placed]
        return load.send(address, "/winners", bodies)

    def _tpcb(self) -> float:
        server = self._server
        server.create("tpcb")
        pgbench = [str(server.binaries / "pgbench"), "-h", server.socket_dir, "-U", "postgres"]
        subprocess.run([*pgbench, "-i", "-q", "-s", "50", "tpcb"], check=True, capture_output=True)
        run = [*pgbench, "-M", "prepared", "-c", str(load.CONNECTIONS), "-j", "1", "-T", str(self._seconds), "tpcb"]
        output = subprocess.run(run, check=True, capture_output=True, text=True).stdout
        server.drop("tpcb")
        line = next(line for line in output.splitlines() if line.startswith("tps"))
        return float(line.split()[2])


def _print(
    situations: Sequence[Situation], measured: dict[str, list[Figures]], tpcb: Sequence[float], seconds: int
) -> None:
    base = median(tpcb)
    spread = f"{min(tpcb):,.0f}–{max(tpcb):,.0f}"
    print(f"TPC-B, pgbench -M prepared -s 50 -c 32: {base:,.0f} /s ({spread}); {len(tpcb)} times {seconds} s")
    print(
        f"{'':<34} {'bets/s':>8}  {'least–most':<15} {'× TPC-B':>7} {'p99 ms':>7}   µs a bet: service, PostgreSQL, load"
    )
    for situation in situations:
        rounds = measured[situation.name]
        rates = [one.per_second for one in rounds]
        middle = Figures(*map(median, zip(*rounds, strict=True)))
        least_most = f"{min(rates):,.0f}–{max(rates):,.0f}"
        times = f"{middle.service:5.0f} {middle.postgresql:5.0f} {middle.load:5.0f}"
        failures = f"   {sum(one.bad for one in rounds):.0f} FAILED" if any(one.bad for one in rounds) else ""
        print(
            f"{situation.name:<34} {middle.per_second:>8,.0f}  {least_most:<15} {middle.per_second / base:>7.2f}"
            f" {middle.p99:>7.1f}   {times}{failures}",
            flush=True,
        )
