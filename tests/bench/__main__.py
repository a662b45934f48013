"""Start PostgreSQL and the service with its production settings, put load on them, and print the measurements."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from marshmallow import ValidationError

from tests import postgresql
from tests.bench import accounts, betslips, finance, load, replay
from tests.bench.fill import fill
from tests.bench.load import CONNECTIONS, CUSTOMERS, Measured
from tests.web.hostile import BODIES
from wallet_hooks import clock
from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.database import open_engine, writing
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.identity.service import add_brand, add_provider
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

PORT = 18_900
PER_REQUEST = 100
_STREAMS, _TURNS = 200, 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--seconds", type=int, default=10, help="duration of each load of single bets")
    parser.add_argument("--requests", type=int, default=500, help=f"number of requests with {PER_REQUEST} bets each")
    parser.add_argument("--wagers", type=int, default=1_000_000, help="number of wagers in the full database")
    parser.add_argument("--callbacks", type=int, default=10_000, help="number of captured callbacks to replay")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores; load from {'wrk' if _has_wrk() else 'our own generator'}, {CONNECTIONS} connections"
    )
    _show_hostile()
    with tempfile.TemporaryDirectory() as directory, postgresql.running() as server:
        server.set("max_wal_size", "8GB")
        server.set("checkpoint_timeout", "1h")
        _on_postgresql(server, options)
        _on_sqlite(Path(directory), options)


def _show_hostile() -> None:
    """Print the CPU time to reject the most expensive hostile body of 64 KiB."""
    worst, name = 0.0, ""
    for one, body in BODIES.items():
        started = time.process_time()
        with suppress(InvalidJSONError, ValidationError):
            read_place_bets(read_json(body))
        worst, name = max((worst, name), (time.process_time() - started, one))
    print(f"{'worst hostile body of 64 KiB (' + name + ')':<44} {worst * 1000:>9.1f} ms of CPU    (target: under 50)")


def _on_postgresql(server: postgresql.Server, options: argparse.Namespace) -> None:
    server.create("bench")
    url = server.url("bench")
    _prepare(url)
    bare = _bare(options.seconds)
    _show("bare Flask route, same server", bare)
    tpcb = _pgbench(server, options.seconds)
    print(f"{'TPC-B, pgbench -M prepared -s 50':<44} {tpcb:>9,.0f} /s")
    with _served(url, "wsgi:app") as address:
        load.single_bets(address, first=1, seconds=3)  # warm up plans, caches, connections
        empty = load.single_bets(address, first=10**7, seconds=options.seconds)
        _show("single bets", empty)
        print(f"{'  against bare Flask':<44} {empty.per_second / bare.per_second:>9.2f}    (target: 0.50)")
        print(f"{'  against TPC-B':<44} {empty.per_second / tpcb:>9.2f}    (target: 0.60)")
        _show_batches("PostgreSQL", address, options.requests)
        _show_betslips(address, options.requests)
        _show_streams(url, address, options.seconds)
    replay.show(url, empty, options.callbacks)
    fill(url, options.wagers)
    with _served(url, "wsgi:app") as address:
        load.single_bets(address, first=2 * 10**8, seconds=3)
        full = load.single_bets(address, first=3 * 10**8, seconds=options.seconds)
        with finance.exporting(url):
            during_export = load.single_bets(address, first=4 * 10**8, seconds=options.seconds)
    _show(f"single bets after {options.wagers:,} wagers", full)
    print(
        f"{'  slower than empty by a factor of':<44} {empty.per_second / full.per_second:>9.2f}    (target: under 1.10)"
    )
    _show("single bets while the journal is exported", during_export)
    print(f"{'  p99 against no export':<44} {during_export.p99 / full.p99:>9.2f}    (target: 1.00)")
    finance.show(url)
    _show_accounts(url, options)


def _show_accounts(url: str, options: argparse.Namespace) -> None:
    """Measure the account API; a page of the statement must cost the same at any depth."""
    accounts.fill_statement(url, options.wagers)
    headers = accounts.credentials(url)
    last = options.wagers - 100
    with _served(url, "wsgi:app", **accounts.ENVIRONMENT) as address:
        _show("getAccountFunds", accounts.funds(address, headers, options.seconds))
        first_page = accounts.statement(address, headers, options.seconds, first=0)
        _show("statement page from item 0", first_page)
        last_page = accounts.statement(address, headers, options.seconds, first=last)
        _show(f"statement page from item {last:,}", last_page)
        print(f"{'  against item 0':<44} {last_page.per_second / first_page.per_second:>9.2f}    (target: 1.00)")


def _on_sqlite(directory: Path, options: argparse.Namespace) -> None:
    url = f"sqlite:///{directory / 'bench.db'}"
    _prepare(url)
    with _served(url, "wsgi:app") as address:
        load.single_bets(address, first=1, seconds=2)
        _show("single bets on SQLite", load.single_bets(address, first=10**7, seconds=options.seconds))
        _show_batches("SQLite", address, options.requests)


def _show_batches(engine: str, address: str, requests: int) -> None:
    first = 5 * 10**7
    for what, path, write in (("bets", "/bets", load.placed), ("settlements", "/winners", load.settled)):
        bodies = [write(numbers) for numbers in load.chunks(first, requests, PER_REQUEST)]
        measured = load.send(address, path, bodies, connections=8)
        each = measured._replace(per_second=measured.per_second * PER_REQUEST)
        _show(f"{what}, {PER_REQUEST} a request, {engine}", each)


def _show_betslips(address: str, requests: int) -> None:
    betslips.announce(address)
    measured = betslips.messages(address, requests)
    each = measured._replace(per_second=measured.per_second * betslips.PER_REQUEST)
    _show(f"pmm messages, {betslips.PER_REQUEST} a request", each)
    print(f"{'  against 5,000 /s':<44} {each.per_second / 5000:>9.2f}    (target: 1.00)")


def _show_streams(url: str, address: str, seconds: int) -> None:
    """Compare single bets without and with idle streams, in turns, because single runs differ by more than that."""
    ratios = []
    for turn in range(_TURNS):
        first = 6 * 10**8 + turn * 2 * 10**7
        without = load.single_bets(address, first=first, seconds=seconds)
        with betslips.idle_streams(url, address, _STREAMS):
            beside = load.single_bets(address, first=first + 10**7, seconds=seconds)
        ratios.append(beside.per_second / without.per_second)
    _show(f"single bets beside {_STREAMS} idle streams", beside)
    print(f"{f'  against none, median of {_TURNS} turns':<44} {median(ratios):>9.2f}    (target: 0.95)")


def _show(what: str, measured: Measured) -> None:
    failures = f"   {measured.bad} FAILED" if measured.bad else ""
    latencies = f"p50 {measured.p50:6.1f} ms   p99 {measured.p99:6.1f} ms"
    print(f"{what:<44} {measured.per_second:>9,.0f} /s   {latencies}{failures}", flush=True)


def _has_wrk() -> bool:
    from shutil import which  # noqa: PLC0415

    return which("wrk") is not None


def _prepare(url: str) -> None:
    """Create a brand, a provider without authentication, and customers with funds."""
    engine = open_engine(Settings(database_url=url))
    upgrade(engine)
    now = clock.now()
    with writing(engine) as session:
        brand = add_brand(session, id_=1, client="acme", currency="EUR", timezone="Europe/London", policy=None)
        add_provider(session, game="betflex", client="acme", auth="none", secrets=(), allow=())
        for numbers in load.chunks(1, CUSTOMERS // 1000, 1000):
            new = [NewCustomer(uid=str(n), username=f"c{n}", currency="EUR", balance=10**12) for n in numbers]
            create_customers(session, brand, new, now=now)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def _bare(seconds: int) -> Measured:
    with (
        tempfile.TemporaryDirectory() as directory,
        _served(
            f"sqlite:///{directory}/none.db", "tests.bench.bare:app", WEB_CONCURRENCY=str(os.cpu_count())
        ) as address,
    ):
        load.single_bets(address, first=1, seconds=2)
        return load.single_bets(address, first=1, seconds=seconds)


def _pgbench(server: postgresql.Server, seconds: int) -> float:
    server.create("tpcb")
    pgbench = [str(server.binaries / "pgbench"), "-h", server.socket_dir, "-U", "postgres"]
    subprocess.run([*pgbench, "-i", "-q", "-s", "50", "tpcb"], check=True, capture_output=True)
    run = [*pgbench, "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-T", str(seconds), "tpcb"]
    output = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    server.drop("tpcb")
    line = next(line for line in output.splitlines() if line.startswith("tps"))
    return float(line.split()[2])


@contextmanager
def _served(database_url: str, app: str, **environment: str) -> Iterator[str]:
    """Run gunicorn with the production settings on PORT; yield its address."""
    settings = {"WALLET_HOOKS_DATABASE_URL": database_url, "WALLET_HOOKS_LISTEN": f"127.0.0.1:{PORT}"}
    command = [str(Path(sys.executable).with_name("gunicorn")), "-c", "python:wallet_hooks.server", app]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=os.environ | settings | environment, stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{PORT}/bets")
            yield f"http://127.0.0.1:{PORT}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_until_up(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, json.dumps({}).encode(), timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the service did not start")


if __name__ == "__main__":
    main()
