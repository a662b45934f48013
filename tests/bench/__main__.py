"""Start PostgreSQL and the service with its production settings, put load on them, and print the measurements."""

import argparse
import os
import platform
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from statistics import median

import psycopg
from marshmallow import ValidationError

from tests import postgresql
from tests.bench import accounts, betslips, brands, finance, load, replay
from tests.bench.callbacks import Table
from tests.bench.fill import fill
from tests.bench.held_row import held_row
from tests.bench.load import CONNECTIONS, CUSTOMERS, Measured
from tests.bench.serving import megabytes, served
from tests.bench.slow_clients import COUNT, HELD_BACK, held_back, slow_clients
from tests.web.hostile import BODIES
from wallet_hooks import clock
from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.database import open_engine, writing
from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.identity.service import add_brand, add_provider
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.web.strict_json import InvalidJSONError

_STREAMS, _TURNS = 200, 11
# Shared buffers as docs/operations.md says; no checkpoint falls into one measurement and not into another.
_POSTGRESQL_SETTINGS = {
    "shared_buffers": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4 // 2**20}MB",
    "max_wal_size": "8GB",
    "min_wal_size": "8GB",
    "checkpoint_timeout": "1h",
}
_LOG_FILES = 400  # of 16 MB each; the bets of a run need about as many


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--seconds", type=int, default=10, help="duration of each load of single bets")
    parser.add_argument("--rounds", type=int, default=3, help="how often each situation of the table is measured")
    parser.add_argument("--requests", type=int, default=500, help="number of requests with 100 bets each")
    parser.add_argument("--wagers", type=int, default=1_000_000, help="number of wagers in the full database")
    parser.add_argument("--callbacks", type=int, default=10_000, help="number of captured callbacks to replay")
    options = parser.parse_args()
    generator = "wrk" if _has_wrk() else "our own generator"
    print(f"{os.cpu_count()} cores; {_interpreter()}; load from {generator}, {CONNECTIONS} connections")
    _show_hostile()
    with postgresql.running(settings=_POSTGRESQL_SETTINGS) as server:
        _on_postgresql(server, options)


def _interpreter() -> str:
    """Return the interpreter's version, and its speed: how it was built decides a fifth of the service's figures."""
    milliseconds = 1000 * min(timeit.repeat("for i in range(1_000_000): i + i", number=1, repeat=5))
    return f"Python {platform.python_version()}, a loop of a million additions in {milliseconds:.0f} ms"


def _show_hostile() -> None:
    """Print the CPU time to reject the most expensive hostile body of 64 KiB."""
    worst, name = 0.0, ""
    for one, body in BODIES.items():
        worst, name = max((worst, name), (min(_time_to_reject(body) for _ in range(3)), one))
    print(f"{'worst hostile body of 64 KiB (' + name + ')':<44} {worst * 1000:>9.1f} ms of CPU    (target: under 50)")


def _time_to_reject(body: bytes) -> float:
    started = time.process_time()
    with suppress(InvalidJSONError, ValidationError):
        read_place_bets(body)
    return time.process_time() - started


def _on_postgresql(server: postgresql.Server, options: argparse.Namespace) -> None:
    url, full_url = (_new_database(server, name) for name in ("bench", "bench_full"))
    fill(full_url, options.wagers)
    print(f"full: {options.wagers:,} wagers")
    _settle(full_url)
    bare = _bare(options.seconds)
    _show("bare Flask route, same server", bare)
    table = Table(server, _prepare, full_url, seconds=options.seconds, requests=options.requests)
    tpcb = table.show(options.rounds)
    with served(url) as (address, _):
        load.single_bets(address, first=1, seconds=3)  # warm up plans, caches, connections
        single = load.single_bets(address, first=10**7, seconds=options.seconds)
        _show("single bets", single)
        print(f"{'  against bare Flask':<44} {single.per_second / bare.per_second:>9.2f}    (target: 0.50)")
        _show_betslips(address, options.requests)
        _show_streams(url, address, options.seconds)
        _show_slow_clients(address, options.seconds)
        _show_held_row(url, address, options.seconds)
    _show_memory(url)
    brands.show(partial(_new_database_of_brands, server), options.seconds, _show)
    replay.show(url, single, options.callbacks)
    _show_beside_exports(full_url, options.seconds)
    finance.show(full_url, tpcb)
    _show_accounts(full_url, options)


def _settle(full_url: str) -> None:
    """Leave the server as one that has run for a while: tables vacuumed, and files of the log (WAL) to use again.

    To create such a file takes PostgreSQL 40 ms, in which nothing is committed.
    """
    with psycopg.connect(full_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        for _ in range(_LOG_FILES):
            connection.execute("SELECT pg_logical_emit_message(false, 'bench', repeat('x', 16 * 1024 * 1024 - 4096))")
        connection.execute("CHECKPOINT")


def _new_database(server: postgresql.Server, name: str) -> str:
    server.create(name)
    _prepare(server.url(name))
    return server.url(name)


def _new_database_of_brands(server: postgresql.Server, name: str, brand_schemas: bool) -> str:
    server.create(name)
    _prepare(server.url(name), brands.BRANDS, customers=CUSTOMERS // 10, brand_schemas=brand_schemas)
    return server.url(name)


def _show_beside_exports(url: str, seconds: int) -> None:
    with served(url) as (address, _):
        load.single_bets(address, first=10**9, seconds=3)
        pairs = _in_turns(address, seconds, first=10**9 + 2 * 10**7, beside=lambda: finance.exporting(url))
    _show_p99("the journal is exported", "no export", pairs, target=1.2)


def _show_slow_clients(address: str, seconds: int) -> None:
    pairs = _in_turns(address, seconds, first=9 * 10**8, beside=lambda: slow_clients(address))
    _show_p99(f"{COUNT:,} clients are slow or idle", "none", pairs, target=1.5)


def _show_held_row(url: str, address: str, seconds: int) -> None:
    """Measure the bets of others while one customer's row is held, and its bets wait or are refused."""
    pairs = _in_turns(address, seconds, first=11 * 10**8, beside=lambda: held_row(url, address, CUSTOMERS + 1))
    _show("single bets while a row is held", pairs[-1][1])
    ratio = median(beside.per_second / without.per_second for without, beside in pairs)
    print(f"{f'  against no held row, median of {_TURNS} turns':<44} {ratio:>9.2f}    (target: 0.90)")


def _show_memory(url: str) -> None:
    """Print what clients that hold back the ends of their bodies add to the memory of a worker."""
    with served(url, workers=1) as (address, pid):
        load.single_bets(address, first=12 * 10**8, seconds=2)
        before = megabytes(pid)
        with held_back(address):
            after = megabytes(pid)
    print(f"memory of a worker, {HELD_BACK:,} bodies held back{'':<4} {after:>9,.0f} MB   (before: {before:,.0f} MB)")


def _show_p99(what: str, other: str, pairs: list[tuple[Measured, Measured]], *, target: float) -> None:
    _show(f"single bets while {what}", pairs[-1][1])
    ratio = median(beside.p99 / without.p99 for without, beside in pairs)
    print(f"{f'  p99 against {other}, median of {_TURNS} turns':<44} {ratio:>9.2f}    (target: {target:.2f})")


def _in_turns(
    address: str, seconds: int, *, first: int, beside: Callable[[], AbstractContextManager[None]]
) -> list[tuple[Measured, Measured]]:
    """Measure single bets without and beside something, in turns, because single runs differ by more than that.

    Many turns tell more than long ones, so a turn's loads are half as long as others. Every other turn begins with
    those beside it, because bets become slower while the tables grow.
    """
    pairs = []
    for turn in range(_TURNS):
        measured = {}
        for number, what in enumerate((nullcontext, beside) if turn % 2 == 0 else (beside, nullcontext)):
            with what():
                start = first + (turn * 2 + number) * 10**7
                measured[what] = load.single_bets(address, first=start, seconds=max(seconds // 2, 1))
        pairs.append((measured[nullcontext], measured[beside]))
    return pairs


def _show_accounts(url: str, options: argparse.Namespace) -> None:
    """Measure the account API; a page of the statement must cost the same at any depth."""
    accounts.fill_statement(url, options.wagers)
    headers = accounts.credentials(url)
    last = options.wagers - 100
    with served(url, settings=accounts.ENVIRONMENT) as (address, _):
        _show("getAccountFunds", accounts.funds(address, headers, options.seconds))
        first_page = accounts.statement(address, headers, options.seconds, first=0)
        _show("statement page from item 0", first_page)
        last_page = accounts.statement(address, headers, options.seconds, first=last)
        _show(f"statement page from item {last:,}", last_page)
        print(f"{'  against item 0':<44} {last_page.per_second / first_page.per_second:>9.2f}    (target: 1.00)")


def _show_betslips(address: str, requests: int) -> None:
    betslips.announce(address)
    measured = betslips.messages(address, requests)
    each = measured._replace(per_second=measured.per_second * betslips.PER_REQUEST)
    _show(f"pmm messages, {betslips.PER_REQUEST} a request", each)
    print(f"{'  against 5,000 /s':<44} {each.per_second / 5000:>9.2f}    (target: 1.00)")


def _show_streams(url: str, address: str, seconds: int) -> None:
    pairs = _in_turns(address, seconds, first=6 * 10**8, beside=lambda: betslips.idle_streams(url, address, _STREAMS))
    _show(f"single bets beside {_STREAMS} idle streams", pairs[-1][1])
    ratio = median(beside.per_second / without.per_second for without, beside in pairs)
    print(f"{f'  against none, median of {_TURNS} turns':<44} {ratio:>9.2f}    (target: 0.95)")


def _show(what: str, measured: Measured) -> None:
    failures = f"   {measured.bad} FAILED" if measured.bad else ""
    latencies = f"p50 {measured.p50:6.1f} ms   p99 {measured.p99:6.1f} ms"
    print(f"{what:<44} {measured.per_second:>9,.0f} /s   {latencies}{failures}", flush=True)


def _has_wrk() -> bool:
    from shutil import which  # noqa: PLC0415

    return which("wrk") is not None


def _prepare(
    url: str, clients: Sequence[str] = ("acme",), *, customers: int = CUSTOMERS, brand_schemas: bool = False
) -> None:
    """Create brands, each with a provider without authentication, and with customers with funds."""
    engine = open_engine(Settings(database_url=url, brand_schemas=brand_schemas))
    upgrade(engine)
    now = clock.now()
    with writing(engine) as session:
        for id_, client in enumerate(clients, 1):
            brand = add_brand(session, id_=id_, client=client, currency="EUR", timezone="Europe/London", policy=None)
            add_provider(session, game="betflex", client=client, auth="none", secrets=(), allow=())
            with seeing_brand(session.connection(), id_):
                for numbers in load.chunks(1, customers // 1000, 1000):
                    create_customers(session, brand, [_customer(id_, number) for number in numbers], now=now)
                create_customers(session, brand, [_customer(id_, CUSTOMERS + 1)], now=now)  # bets only in `held_row`
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def _customer(brand_id: int, number: int) -> NewCustomer:
    return NewCustomer(uid=str(number), username=f"{'c' * brand_id}{number}", currency="EUR", balance=10**12)


def _bare(seconds: int) -> Measured:
    with (
        tempfile.TemporaryDirectory() as directory,
        served(
            f"sqlite:///{directory}/none.db", "tests.bench.bare:app", settings={"WEB_CONCURRENCY": str(os.cpu_count())}
        ) as (
            address,
            _,
        ),
    ):
        load.single_bets(address, first=1, seconds=2)
        return load.single_bets(address, first=1, seconds=seconds)


if __name__ == "__main__":
    main()
