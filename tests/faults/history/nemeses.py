"""What is done to the service, its database and the network between them while clients send."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import text

from tests.faults.clusters import Node
from tests.faults.history.instances import Instance
from tests.faults.history.servers import Servers
from tests.faults.network import Network
from tests.world import World
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing

_WORKER_STARTS = 2.0  # seconds in which a new worker serves
_OLD_PRIMARY = 3.0  # seconds for which a primary that was lost is back


class StrikeTarget(NamedTuple):
    """What a nemesis works on. On SQLite there are neither servers nor a network.

    `clock` is the file with the seconds by which the services' clocks are shifted. `disks` are the directories of the
    database, if they are small file systems of their own.
    """

    instances: Sequence[Instance]
    world: World
    clock: Path
    disks: Sequence[Path] = ()
    servers: Servers | None = None
    network: Network | None = None


class Nemesis(NamedTuple):
    """`strike` does the harm and ends it. `needs` names the attributes of the target that must be there.

    It keeps the service from taking bets for `seconds`; a few more pass until new workers are there. If the service
    `answers_all` meanwhile, each request whose connection it accepts must be answered.
    """

    name: str
    strike: Callable[[StrikeTarget], None]
    needs: tuple[str, ...] = ()
    seconds: float = 0
    answers_all: bool = False

    def can_strike(self, target: StrikeTarget) -> bool:
        return all(getattr(target, name) for name in self.needs)


def _worker_killed(target: StrikeTarget) -> None:
    target.instances[0].kill_worker()
    time.sleep(_WORKER_STARTS)


def _master_killed(target: StrikeTarget) -> None:
    target.instances[0].kill_master()
    target.instances[0].start()


def _instance_killed(target: StrikeTarget) -> None:
    target.instances[1].kill()
    time.sleep(0.5)
    target.instances[1].start()


def _rolling_restart(target: StrikeTarget) -> None:
    for instance in target.instances:
        instance.stop()
        instance.start()


def _reloaded(target: StrikeTarget) -> None:
    for instance in target.instances:
        instance.reload()
    time.sleep(_WORKER_STARTS)


def _database_killed(target: StrikeTarget) -> None:
    assert target.servers is not None
    target.servers.primary.kill()
    time.sleep(0.5)
    target.servers.primary.start()


def _primary_lost(target: StrikeTarget) -> None:
    assert target.servers is not None
    target.servers.add_standby()
    time.sleep(1)
    target.servers.lose_primary()
    time.sleep(2)


def _old_primary_back(target: StrikeTarget) -> None:
    """Lose the primary and have it back, so that new connections find two servers that accept writes."""
    assert target.servers is not None
    assert target.network is not None
    _primary_lost(target)
    with target.servers.old_primary_back():
        with target.network.cut():
            time.sleep(0.2)
        time.sleep(_OLD_PRIMARY)
    time.sleep(2)


def _cut(target: StrikeTarget) -> None:
    assert target.network is not None
    with target.network.cut():
        time.sleep(1)


def _silent(target: StrikeTarget) -> None:
    assert target.network is not None
    with target.network.silent():
        time.sleep(20)


def _slow(target: StrikeTarget) -> None:
    assert target.network is not None
    target.network.delay = 0.1
    time.sleep(4)
    target.network.delay = 0


def _commits_lost(target: StrikeTarget) -> None:
    assert target.network is not None
    for _ in range(10):
        target.network.commits_to_lose = 1
        time.sleep(0.2)
    target.network.commits_to_lose = 0


def _connections_used_up(target: StrikeTarget) -> None:
    """Take every connection that the server has, those of the services too."""
    assert target.servers is not None
    place: dict[str, Any] = {"host": str(target.servers.primary.directory), "user": "postgres", "dbname": "postgres"}
    with contextlib.ExitStack() as stack:
        taken: list[psycopg.Connection[Any]] = []
        for _ in range(2):
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    taken.append(stack.enter_context(psycopg.connect(autocommit=True, **place)))
            others = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND pid <> ALL(%s)"
            )
            taken[0].execute(others, [[one.info.backend_pid for one in taken]])
        time.sleep(2)


def _row_locked(target: StrikeTarget) -> None:
    with writing(target.world.engine) as session:
        customer_by_uid(session, client="acme", uid="7", lock=True)
        time.sleep(2)


def _table_locked(target: StrikeTarget) -> None:
    with writing(target.world.engine) as session:
        session.execute(text("LOCK TABLE delivery"))
        time.sleep(2)


def _statements_slow(target: StrikeTarget) -> None:
    """Have each group's write take longer than a statement may."""
    slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"
    trigger = "CREATE TRIGGER slow AFTER INSERT ON delivery FOR EACH STATEMENT EXECUTE FUNCTION slow()"
    with writing(target.world.engine) as session:
        session.execute(text(slow))
        session.execute(text(trigger))
    time.sleep(2)
    with writing(target.world.engine) as session:
        session.execute(text("DROP FUNCTION slow() CASCADE"))


def _disk_full(target: StrikeTarget) -> None:
    """Fill the file systems of the database, and free them again."""
    fillers = [directory / "filler" for directory in target.disks]
    for filler in fillers:
        _fill_disk(filler)
    time.sleep(2)
    for filler in fillers:
        filler.unlink()
    if target.servers is not None:
        _ensure_running(target.servers.primary)


def _fill_disk(filler: Path) -> None:
    """Write until not a page is left; what a database has reserved for itself stays."""
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _ensure_running(server: Node) -> None:
    """Start the server, if it has stopped because it could not write its log (WAL)."""
    for _ in range(50):
        with contextlib.suppress(psycopg.OperationalError):
            server.execute("CREATE TABLE IF NOT EXISTS probe (one integer)")
            return
        with contextlib.suppress(AssertionError):
            server.start()
        time.sleep(0.2)
    raise AssertionError("the server does not run")


def _clock_set(target: StrikeTarget) -> None:
    for offset in ("-3600", "86400", "0"):
        target.clock.write_text(offset)
        time.sleep(1.5)


NEMESES = (
    Nemesis("nothing", lambda _: time.sleep(2)),
    Nemesis("a worker killed", _worker_killed),
    Nemesis("a master killed, its workers not", _master_killed),
    Nemesis("an instance killed", _instance_killed),
    Nemesis("instances stopped (SIGTERM) and started in turn", _rolling_restart, answers_all=True),
    Nemesis("instances reloaded (SIGHUP)", _reloaded, answers_all=True),
    Nemesis("the database killed", _database_killed, ("servers",)),
    # The URL names the old primary first, and after the second promotion once more.
    Nemesis("the old primary back beside the new one", _old_primary_back, ("servers", "network")),
    Nemesis("the primary lost, its standby promoted", _primary_lost, ("servers",)),
    Nemesis("the network to the database cut", _cut, ("network",)),
    Nemesis("the network to the database silent for 20 s", _silent, ("network",), seconds=20),
    Nemesis("200 ms to the database and back", _slow, ("network",)),
    Nemesis("connections lost after COMMIT", _commits_lost, ("network",)),
    Nemesis("all connections of the database used up", _connections_used_up, ("servers",)),
    Nemesis("a customer's row locked for 2 s", _row_locked),
    Nemesis("a table locked for 2 s", _table_locked, ("servers",)),
    Nemesis("statements slower than their time-out for 2 s", _statements_slow, ("servers",)),
    Nemesis("the database's disk full", _disk_full, ("disks",)),
    Nemesis("clocks an hour back and a day forward", _clock_set),
)
