"""The network between the service and PostgreSQL fails: every answer comes in time and is true."""

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
from sqlalchemy.exc import OperationalError

from tests import postgresql
from tests.faults.network import Network, network
from tests.service import WORKER_CLASS, served, status_of
from tests.world import World, bet
from wallet_hooks.database import open_engine, timelines
from wallet_hooks.database.connecting import Connector, replace_connections
from wallet_hooks.database.deadlines import answer_within
from wallet_hooks.settings import Settings

pytestmark = pytest.mark.served

# Seconds in which a callback is answered whatever the database does: 0.8 in the queue and 1.8 in a group, by default.
ANSWERED = 3.0
CLIENTS = 16


class Sent(NamedTuple):
    status: int
    seconds: float


def send(url: str, uid: int, *, user: int = 7) -> Sent:
    """Send one bet of 0.10, once."""
    return fetch(f"{url}/bets", {"bets": [bet(uid, "0.10", user=user)]})


def fetch(url: str, body: Any = None) -> Sent:
    began = time.monotonic()
    status = status_of(url, "GET" if body is None else "POST", body)
    return Sent(status, time.monotonic() - began)


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def between(world: World, postgresql_server: postgresql.Server) -> Iterator[Network]:
    world.close_app()
    with network(postgresql_server.socket) as one:
        yield one


@pytest.fixture
def url(world: World, between: Network, tmp_path: Path) -> Iterator[str]:
    with served(between.url(world.database), tmp_path) as (url, _):
        yield url


def test_a_silent_database_delays_no_answer_beyond_the_time_outs(url: str, between: Network, world: World) -> None:
    assert send(url, 0).status == 200
    with ThreadPoolExecutor(CLIENTS) as clients:
        with between.silent():
            sent = list(clients.map(lambda uid: send(url, uid), range(1, 4 * CLIENTS)))
            ready = fetch(f"{url}/readyz")
        assert {one.status for one in sent} == {503}
        assert max(one.seconds for one in sent) < ANSWERED
        assert (ready.status, ready.seconds < ANSWERED) == (503, True)
        repeated = [send_until_answered(url, uid) for uid in range(1, 4 * CLIENTS)]
    assert set(repeated) == {200}
    assert fetch(f"{url}/readyz").status == 200
    assert world.balance() == "93.60"
    assert world.differences() == []


def send_until_answered(url: str, uid: int) -> int:
    for _ in range(100):
        if (status := send(url, uid).status) != 503:
            return status
        time.sleep(0.05)
    raise AssertionError("the service did not return")


def test_bets_whose_commit_is_answered_by_nobody_are_answered_as_they_stand(
    url: str, between: Network, world: World
) -> None:
    assert send(url, 0).status == 200
    statuses = []
    with ThreadPoolExecutor(CLIENTS) as clients:
        for first in range(1, 40, 13):
            between.commits_to_lose = 1
            statuses += [one.status for one in clients.map(lambda uid: send(url, uid), range(first, first + 13))]
    assert between.commits_to_lose == 0
    assert statuses == [200] * 39
    assert world.count("wager") == 40
    assert world.balance() == "96.00"


def test_nothing_is_refused_because_the_database_is_far_away(url: str, between: Network) -> None:
    if "gthread" in os.environ.get(WORKER_CLASS, ""):
        pytest.skip("gthread reads brands and providers before a callback, not beside the callbacks")
    for uid in range(100, 200):  # as in a service that has been running, with its connections open
        assert send(url, uid).status == 200
        time.sleep(0.01)
    between.delay = 0.1  # each way
    with ThreadPoolExecutor(40) as clients:
        sending = []
        for uid in range(100):  # at any moment, so that many wait for a group that is on its way
            sending.append(clients.submit(send, url, uid))
            time.sleep(0.037)
    assert {one.result().status for one in sending} == {200}


def test_a_cut_network_is_found_again(url: str, between: Network, world: World) -> None:
    assert send(url, 0).status == 200
    with between.cut():
        assert send(url, 1).status == 503
        assert fetch(f"{url}/readyz").status == 503
    assert send_until_answered(url, 1) == 200
    assert world.count("wager") == 2


def test_a_silent_first_host_does_not_hide_the_second(between: Network, world: World, tmp_path: Path) -> None:
    """As when the old primary's machine is off: connecting to it takes longer than a callback may wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hosts = f"host=127.0.0.1:{port}&host=127.0.0.1:{between.port}"
        with served(f"postgresql://postgres@/{world.database}?{hosts}", tmp_path) as (url, _):
            assert send_until_answered(url, 1) == 200
            with between.cut():
                assert send(url, 2).seconds < ANSWERED
            assert send_until_answered(url, 2) == 200
            with ThreadPoolExecutor(CLIENTS) as clients:
                assert {one.status for one in clients.map(lambda uid: send(url, uid), range(3, 30))} == {200}
    assert world.count("wager") == 29


def test_a_caller_without_time_leaves_a_new_connection_to_the_next(between: Network, world: World) -> None:
    """It asks once for the connection that was opened for an earlier caller, not until its time is over."""
    engine = open_engine(Settings(database_url=between.url(world.database)), for_callbacks=True)
    with mock.patch.object(Connector, "_wait_for", autospec=True, side_effect=Connector._wait_for) as waits:
        for _ in range(2):
            with answer_within(0.5), pytest.raises(OperationalError, match="took too long"):
                engine.connect()
        engine.connect().close()
    assert waits.call_count == 3
    assert len({id(call.args[1]) for call in waits.call_args_list}) == 1, "one attempt"
    engine.dispose()


def test_a_connection_that_was_lost_has_the_others_replaced(between: Network, world: World) -> None:
    engine = open_engine(Settings(database_url=between.url(world.database)), for_callbacks=True)
    with engine.connect() as first, engine.connect() as second:
        before = {one.connection.driver_connection for one in (first, second)}
    replace_connections(engine)
    with engine.connect() as first, engine.connect() as second:
        after = {one.connection.driver_connection for one in (first, second)}
    assert not before & after
    engine.dispose()


def test_an_open_connection_to_a_replaced_primary_is_not_used_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has connected to the new primary meanwhile."""
    seen = bytearray(timelines._seen[:])
    monkeypatch.setattr(timelines, "_seen", seen)
    engine = open_engine(world.settings, for_callbacks=True)
    engine.connect().close()
    cluster, timeline = timelines._SEEN.unpack(seen)
    seen[:] = timelines._SEEN.pack(cluster, timeline + 1)
    with pytest.raises(OperationalError, match="the server was replaced"):
        engine.connect()
    engine.dispose()
