"""The primary is lost and its synchronous standby promoted: nothing acknowledged is lost, service returns by itself."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgresql
from tests.conftest import fill_world, migrate
from tests.faults.clusters import Node, nodes
from tests.faults.network import Network, network
from tests.faults.test_network import fetch, send, send_until_answered
from tests.service import served
from tests.waiting import wait_until
from tests.world import World

pytestmark = pytest.mark.served


@pytest.fixture
def pair(postgresql_server: postgresql.Server) -> Iterator[tuple[Node, Node]]:
    """A primary with the world, and its synchronous standby."""
    with nodes(postgresql_server, 2) as (primary, standby):
        primary.create()
        primary.start()
        migrate(primary.url)
        fill_world(primary.url)
        standby.copy_from(primary, name="second")
        standby.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'second'")
        primary.execute("SELECT pg_reload_conf()")
        yield primary, standby


class Bettor(threading.Thread):
    """Sends bets of 0.10, each until it is answered; `answered` are those that were acknowledged."""

    def __init__(self, url: str, first: int) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.first = first
        self.answered: list[int] = []
        self.stop = threading.Event()

    def run(self) -> None:
        uid = self.first
        while not self.stop.is_set():
            uid += 1
            if send_until_answered(self.url, uid) == 200:
                self.answered.append(uid)


def test_a_promoted_standby_has_every_acknowledged_bet(pair: tuple[Node, Node], tmp_path: Path) -> None:
    primary, standby = pair
    url = f"{primary.url}&host={standby.directory}&target_session_attrs=read-write"
    with served(url, tmp_path, workers=2) as (service, _):
        bettors = [Bettor(service, number * 1000) for number in range(1, 5)]
        for bettor in bettors:
            bettor.start()
        wait_until(lambda: all(len(bettor.answered) > 5 for bettor in bettors))
        primary.kill()
        standby.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.promote()
        before = [len(bettor.answered) for bettor in bettors]
        wait_until(
            lambda: all(len(bettor.answered) > count + 5 for bettor, count in zip(bettors, before, strict=True)),
            seconds=10,  # service must be back by itself
        )
        for bettor in bettors:
            bettor.stop.set()
        for bettor in bettors:
            bettor.join(30)
    kept = {str(row[0]) for row in standby.execute("SELECT uid FROM wager")}
    assert kept == {str(uid) for bettor in bettors for uid in bettor.answered}
    world = World(standby.url)
    assert world.differences() == []
    world.close()


@pytest.fixture
def between(pair: tuple[Node, Node]) -> Iterator[Network]:
    with network(pair[0].socket) as one:
        yield one


def test_an_old_primary_that_comes_back_takes_nothing(
    pair: tuple[Node, Node], between: Network, tmp_path: Path
) -> None:
    """As when an address moves to the new primary and, by mistake, back to the old one, which accepts writes."""
    primary, standby = pair
    with served(between.url("postgres"), tmp_path, workers=2) as (service, _):
        assert send(service, 1).status == 200
        primary.kill()
        standby.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.promote()
        between.serve_from(standby.socket)
        assert send_until_answered(service, 2) == 200
        primary.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        primary.execute("SELECT pg_reload_conf()")
        between.serve_from(primary.socket)
        with between.cut():
            fetch(f"{service}/readyz")
        for uid in range(3, 23):
            assert send(service, uid).status == 503
        assert fetch(f"{service}/readyz").status == 503
        between.serve_from(standby.socket)
        assert send_until_answered(service, 3) == 200
        assert fetch(f"{service}/readyz").status == 200
    assert primary.execute("SELECT uid FROM wager") == [("1",)]
    assert standby.execute("SELECT uid FROM wager ORDER BY uid") == [("1",), ("2",), ("3",)]


def test_an_old_primary_that_the_url_names_first_is_passed_over(pair: tuple[Node, Node], tmp_path: Path) -> None:
    primary, standby = pair
    with (
        network(primary.socket, standby.socket) as between,
        served(between.url("postgres"), tmp_path, workers=2) as (service, _),
    ):
        assert send(service, 1).status == 200
        primary.kill()
        standby.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.promote()
        assert send_until_answered(service, 2) == 200
        primary.start()
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        primary.execute("SELECT pg_reload_conf()")
        with between.cut():
            fetch(f"{service}/readyz")
        for uid in range(3, 23):
            assert send_until_answered(service, uid) == 200
        assert fetch(f"{service}/readyz").status == 200
    assert primary.execute("SELECT uid FROM wager") == [("1",)]
    assert len(standby.execute("SELECT uid FROM wager")) == 22


def test_a_commit_that_waits_for_its_standby_is_not_acknowledged(pair: tuple[Node, Node], tmp_path: Path) -> None:
    """The primary lives, and holds each COMMIT until the standby has it: PostgreSQL has no time-out for that."""
    primary, standby = pair
    with served(primary.url, tmp_path, workers=2) as (service, _):
        assert send(service, 1).status == 200
        standby.kill()
        held = [send(service, uid) for uid in range(2, 6)]
        assert {one.status for one in held} == {503}
        assert max(one.seconds for one in held) < 3
        standby.start()
        assert [send_until_answered(service, uid) for uid in range(2, 6)] == [200] * 4
    assert primary.execute("SELECT uid FROM wager ORDER BY uid") == [(str(uid),) for uid in range(1, 6)]
    world = World(primary.url)
    assert world.differences() == []
    world.close()
