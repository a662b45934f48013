"""Runs clients against two instances of the service, lets the nemeses strike one after the other, and checks."""

import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tests import postgresql
from tests.conftest import migrate
from tests.faults.clusters import nodes
from tests.faults.history.checker import problems
from tests.faults.history.clients import HistoryClient
from tests.faults.history.instances import Instance
from tests.faults.history.ledger import read_ledger
from tests.faults.history.nemeses import NEMESES, Nemesis, StrikeTarget
from tests.faults.history.operations import Attempt
from tests.faults.history.players import Players, create_players
from tests.faults.history.servers import Servers
from tests.faults.network import network
from tests.world import World

CLIENTS = 8
_CALM = 0.5  # seconds before and after a strike
_DISK = 400  # megabytes of the file system that is filled


class Strike(NamedTuple):
    """What happened while a nemesis struck.

    `away` is the longest time in seconds in which no bet was acknowledged. `problems` are what the checker found in
    the whole history up to then.
    """

    nemesis: str
    attempts: int
    acknowledged: int
    unknown: int
    away: float
    problems: list[str]


class HistoryRun:
    """Two instances and the customers of one run; the history grows with each strike."""

    def __init__(self, target: StrikeTarget, players: Players) -> None:
        self.target = target
        self._players = players
        self._history: list[Attempt] = []
        self._clients = 0

    def strike(self, nemesis: Nemesis) -> Strike:
        """Let a nemesis strike while clients send, and check the whole history."""
        clients = [self._client() for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(_CALM)
        nemesis.strike(self.target)
        time.sleep(_CALM)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive(), "a client waits for ever"
        new = [attempt for client in clients for attempt in client.history]
        self._history += new
        found = problems(self._history, read_ledger(self.target.world.engine), self._players.openings)
        found += [str(difference) for difference in self.target.world.differences()]
        if nemesis.answers_all:
            found += [f"{one.operation}: accepted, and not answered" for one in new if one.is_cut]
        ends = Counter("acknowledged" if one.is_acknowledged else "unknown" for one in new if not one.is_refused)
        return Strike(nemesis.name, len(new), ends["acknowledged"], ends["unknown"], _away(new), found)

    def _client(self) -> HistoryClient:
        self._clients += 1
        return HistoryClient([one.url for one in self.target.instances], self._players, self._clients)


def _away(history: Sequence[Attempt]) -> float:
    ends = sorted(one.ended for one in history if one.operation.kind == "bet" and one.is_acknowledged)
    return max((later - earlier for earlier, later in pairwise(ends)), default=float("inf"))


def run_all(engine: str, report: Callable[[Strike], None], *, seconds: float = 0) -> None:
    """Let every nemesis that applies to the engine strike once, and again until the seconds have passed."""
    with running(engine) as run:
        until = time.monotonic() + seconds
        while True:
            for nemesis in NEMESES:
                if nemesis.can_strike(run.target):
                    report(run.strike(nemesis))
            if time.monotonic() >= until:
                return


@contextmanager
def running(engine: str) -> Iterator[HistoryRun]:
    """Start two instances of the service over a database of the engine (`sqlite` or `postgresql`) of their own."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wallet-hooks-history-")))
        clock = directory / "clock"
        clock.write_text("0")
        servers, between = None, None
        if engine == "postgresql":
            disks, servers = stack.enter_context(_servers())
            between = stack.enter_context(network(*(node.socket for node in servers.nodes)))
            direct, url = servers.url, between.url("postgres")
        else:
            disks = stack.enter_context(_small_disks(directory / "database"))
            direct = url = f"sqlite:///{directory}/database/history.db"
        migrate(direct)
        world = World(direct)
        stack.callback(world.close)
        players = create_players(world)
        environment = {"WALLET_HOOKS_DATABASE_URL": url, "WALLET_HOOKS_SESSION_IDLE": "31536000"}
        environment |= {"WEB_CONCURRENCY": "1" if engine == "sqlite" else "2"}
        environment |= {"WALLET_HOOKS_ACCOUNTS_OPERATIONS_PER_SECOND": "1000000"}
        environment |= {"WALLET_HOOKS_HISTORY_CLOCK": str(clock)}
        instances = [Instance(environment, directory, f"instance{number}") for number in range(2)]
        for instance in instances:
            instance.start()
            stack.callback(instance.stop)
        yield HistoryRun(StrikeTarget(instances, world, clock, disks, servers, between), players)


@contextmanager
def _servers() -> Iterator[tuple[Sequence[Path], Servers]]:
    """Start a server with `fsync`, with another node for its standby."""
    with (
        postgresql.running() as running_server,
        nodes(running_server, 2) as (node, spare),
        _small_disks(node.directory, spare.directory) as disks,
    ):
        node.create(durable=True)
        node.start()
        servers = Servers(node, spare)
        try:
            yield disks, servers
        finally:
            servers.primary.stop()


@contextmanager
def _small_disks(*directories: Path) -> Iterator[Sequence[Path]]:
    """Make each directory a small file system of its own; yield none of them unless this process may do so."""
    with ExitStack() as stack:
        for directory in directories:
            directory.mkdir(exist_ok=True)
            if os.getuid() != 0 or not _mount(directory):
                yield ()
                return
            stack.callback(subprocess.run, ["umount", str(directory)], check=True)
        yield directories


def _mount(directory: Path) -> bool:
    owner, size = directory.stat(), f"size={_DISK}m"
    command = ["mount", "-t", "tmpfs", "-o", size, "none", str(directory)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        return False
    os.chown(directory, owner.st_uid, owner.st_gid)
    return True
