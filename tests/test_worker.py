"""The worker class: connections spread evenly over workers, slow clients, and waiting callbacks beside each other."""

import json
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.service import PATIENT_SETTINGS, post, served, workers_of
from tests.waiting import wait_until
from tests.wire import Wire, request, wire
from tests.worker_classes import BRIEF, BRIEF_PAUSE, HASTY, NARROW, OWN, PATIENT
from tests.worker_connections import connected, connections_of, wait_until_all_accept
from tests.world import OK, World, bet, result
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.worker import _ACTIVE

pytestmark = pytest.mark.served

ACCEPTED = (200, "keep-alive", b'{"status":"OK"}')
BUSY = (503, "keep-alive", b'{"error":"try_again"}')


def test_connections_spread_evenly_over_workers(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=3, worker_class=PATIENT) as (url, master):
        wait_until_all_accept(master, url, workers=3)
        with connected(url, 24):
            assert sorted(connections_of(master, url).values()) == [8, 8, 8]


def test_each_connection_is_left_to_workers_with_fewer(database_url: str, tmp_path: Path) -> None:
    """One that comes long after others were left, too."""
    with served(database_url, tmp_path, workers=3, worker_class=BRIEF) as (url, master):
        wait_until_all_accept(master, url, workers=3)
        with ExitStack() as connections:
            for _ in range(5):
                time.sleep(1.1 * BRIEF_PAUSE)
                connections.enter_context(connected(url, 1))
                counts = connections_of(master, url).values()
                assert max(counts) - min(counts) <= 1


def test_active_connections_spread_beside_idle_ones_of_one_worker(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=2, worker_class=OWN) as (url, master), ExitStack() as connections:
        wait_until_all_accept(master, url, workers=2)
        os.kill(workers_of(master)[0], signal.SIGSTOP)
        connections.enter_context(connected(url, 100))
        os.kill(workers_of(master)[0], signal.SIGCONT)
        assert sorted(connections_of(master, url).values()) == [0, 100]
        # A busy machine may give one worker all the time for a moment.
        assert any(least_share_of_active(master, url) >= 8 for _ in range(3))


def least_share_of_active(master: int, url: str) -> int:
    """Open 24 connections beside idle ones, and return how many the worker gets that gets fewest."""
    time.sleep(_ACTIVE + 1.5)  # they are counted every second
    idle = connections_of(master, url)
    with ExitStack() as connections:
        clients = [connections.enter_context(wire(url)) for _ in range(24)]
        for client in clients:
            client.send(request("/healthz", method=b"GET", headers=b""))
        assert [client.answer().status for client in clients] == [200] * len(clients)
        both = connections_of(master, url)
    return min(both[worker] - idle[worker] for worker in idle)


def test_a_worker_that_replaces_a_killed_one_gets_its_share(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=2, worker_class=PATIENT) as (url, master):
        wait_until_all_accept(master, url, workers=2)
        os.kill(workers_of(master)[0], signal.SIGKILL)
        wait_until_all_accept(master, url, workers=2)
        with connected(url, 12):
            assert sorted(connections_of(master, url).values()) == [6, 6]


def placed(uid: int, user: int = 7) -> bytes:
    return request(body=json.dumps({"bets": [bet(uid, "1.00", user=user)]}).encode())


@pytest.fixture
def settled_world(world: World) -> World:
    """The world with a second customer, and without an application of its own."""
    world.customer("8")
    world.close_app()
    return world


def test_busy_clients_move_to_a_worker_that_replaces_a_killed_one(settled_world: World, tmp_path: Path) -> None:
    """The other worker has all of them, and closes half of their connections, each after an answer.

    The clients notice it when they have their next request.
    """
    database_url = settled_world.settings.database_url
    with served(database_url, tmp_path, workers=2, worker_class=OWN, settings=PATIENT_SETTINGS) as (url, master):
        wait_until_all_accept(master, url, workers=2)
        os.kill(workers_of(master)[0], signal.SIGKILL)
        clients = [Wire(url) for _ in range(16)]
        closed: list[Wire] = []

        def are_spread() -> bool:
            for place in range(len(clients)):
                if clients[place] in closed:
                    clients[place].close()
                    clients[place] = Wire(url)
                client = clients[place]
                client.send(placed(1))
                answer = client.answer()
                assert (answer.status, answer.body) == (200, b'{"status":"OK"}')
                if answer.connection == "close":
                    closed.append(client)
            counts = connections_of(master, url)
            return len(counts) == 2 and min(counts.values()) >= 6

        wait_until(are_spread)
        assert len(closed) <= 14, "some may come back late, but not all need to go"
        for client in clients:
            client.close()
    assert settled_world.count("wager") == 1


def test_slow_clients_do_not_keep_others_waiting(settled_world: World, tmp_path: Path) -> None:
    """More clients than the worker has threads have sent a part of a request, of each kind."""
    whole = [placed(1), request("/v1/sessions/", b'{"username": "ann", "password": "x"}')]
    with (
        served(settled_world.settings.database_url, tmp_path, worker_class=OWN) as (url, _),
        ExitStack() as connections,
    ):
        for sent in whole:
            for part in (b"", sent[:20], sent[:-5]):
                for _ in range(40):
                    connections.enter_context(wire(url)).send(part)
        assert post(url, "/bets", {"bets": [bet(2)]}) == OK
        assert post(url, "/v1/sessions/", {"username": "nobody", "password": "x"}).status == 401


def test_a_client_that_does_not_send_its_request_is_disconnected(settled_world: World, tmp_path: Path) -> None:
    with served(settled_world.settings.database_url, tmp_path, worker_class=HASTY) as (url, _):
        for part in (b"", placed(1)[:20], placed(1)[:-5], request("/v1/sessions/", b"{}")[:-1]):
            with wire(url) as client:
                client.send(part)
                assert client.is_closed(), part
    assert settled_world.count("wager") == 0


# Beginnings of requests whose bodies threads of the pool read.
_HEAD = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
READ_BY_THREADS = [
    _HEAD % b"/v1/sessions/" + b"Expect: 100-continue\r\nContent-Length: 60000\r\n\r\n",
    _HEAD % b"/bets" + b"Expect: 100-continue\r\nContent-Length: 60000\r\n\r\n",
    _HEAD % b"/exchange/account/rest/v1.0/getAccountFunds/" + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    _HEAD % b"/betslips/messages" + b"Content-Length: 200000\r\n\r\n" + b"[" * 1000,
]


def test_requests_that_threads_read_leave_threads_to_others(settled_world: World, tmp_path: Path) -> None:
    with (
        served(settled_world.settings.database_url, tmp_path, worker_class=PATIENT) as (url, _),
        ExitStack() as connections,
    ):
        for head in READ_BY_THREADS:
            for _ in range(20):
                connections.enter_context(wire(url)).send(head)
        for number in range(1, 4):
            assert post(url, "/bets", {"bets": [bet(number)]}) == OK
            assert post(url, "/v1/sessions/", {"username": "nobody", "password": "x"}).status == 401


@pytest.mark.parametrize("head", READ_BY_THREADS, ids=["expect", "callback", "chunked", "long"])
def test_a_client_that_sends_a_little_again_and_again_is_disconnected(
    settled_world: World, tmp_path: Path, head: bytes
) -> None:
    """More clients than threads read for, so that some wait for a thread."""
    with (
        served(settled_world.settings.database_url, tmp_path, worker_class=HASTY) as (url, _),
        ExitStack() as connections,
    ):
        clients = [connections.enter_context(wire(url)) for _ in range(12)]
        for client in clients:
            client.send(head)
        wait_until(lambda: sum(map(_has_ended, clients)) == len(clients))


def _has_ended(client: Wire) -> bool:
    """Send one more byte; return whether the connection has ended."""
    try:
        client.send(b" ")
    except OSError:
        return True
    return False


def test_answers_that_nobody_reads_hold_nobody_up_and_are_given_up(settled_world: World, tmp_path: Path) -> None:
    """Clients ask for long answers, ten of the loop and more than there are threads of a thread, and read nothing."""
    unknown = json.dumps({"pools": [result(f"{uid:0>64}") for uid in range(150)]}).encode()
    failing = request("/winners", unknown)
    described = request("/openapi.json", method=b"GET", headers=b"")
    with (
        served(settled_world.settings.database_url, tmp_path, worker_class=NARROW) as (url, master),
        ExitStack() as connections,
    ):
        assert post(url, "/bets", {"bets": [bet(1)]}) == OK
        greedy = []
        for sent, count in ((failing, 10), (described, 40)):
            for _ in range(count):
                client = connections.enter_context(wire(url, buffer=1))
                client.send(sent)
                greedy.append(client)
        assert post(url, "/bets", {"bets": [bet(2)]}) == OK
        assert post(url, "/v1/sessions/", {"username": "nobody", "password": "x"}).status == 401
        wait_until(lambda: not any(connections_of(master, url).values()))
        assert all(client.is_cut() for client in greedy)


def test_more_idle_connections_than_a_worker_may_have_keep_nobody_out(settled_world: World, tmp_path: Path) -> None:
    """Those that have sent nothing are closed, the oldest first; one whose request is arriving is not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    with (
        served(settled_world.settings.database_url, tmp_path, worker_class=OWN) as (url, _),
        ExitStack() as connections,
    ):
        oldest, arriving = (connections.enter_context(wire(url)) for _ in range(2))
        arriving.send(placed(1)[:-5])
        for _ in range(2600):
            connections.enter_context(wire(url))
        assert oldest.is_closed()
        arriving.send(placed(1)[-5:])
        assert arriving.answer() == ACCEPTED
        assert post(url, "/bets", {"bets": [bet(2)]}) == OK


@contextmanager
def locked_table(world: World) -> Iterator[None]:
    """Keep every callback waiting: nothing can be stored."""
    with writing(world.engine) as session:
        if world.engine.dialect.name == "postgresql":
            session.execute(text("LOCK TABLE delivery"))
        else:
            session.execute(text("SELECT 1"))  # SQLite's transaction has the lock of the whole file
        yield


@contextmanager
def waiting_service(world: World, directory: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """Run the service with such time-outs that callbacks wait for as long as a test locks what they need."""
    patient = PATIENT_SETTINGS | settings
    with served(world.settings.database_url, directory, worker_class=OWN, settings=patient) as found:
        yield found


def test_other_requests_are_answered_while_the_database_works(settled_world: World, tmp_path: Path) -> None:
    with waiting_service(settled_world, tmp_path) as (url, _), wire(url) as client:
        with locked_table(settled_world), wire(url) as other:
            client.send(placed(1))
            for _ in range(3):
                other.send(request("/healthz", method=b"GET", headers=b""))
                assert other.answer()[:2] == (200, "keep-alive")
        assert client.answer() == ACCEPTED


def test_callbacks_that_wait_for_a_group_share_the_next(settled_world: World, tmp_path: Path) -> None:
    with waiting_service(settled_world, tmp_path) as (url, _), ExitStack() as connections:
        clients = [connections.enter_context(wire(url)) for _ in range(20)]
        with locked_table(settled_world):
            for number, client in enumerate(clients):
                client.send(placed(number))
            wait_for_arrival(url)
        assert [client.answer() for client in clients] == [ACCEPTED] * 20
        metrics = metrics_of(url)
    assert metrics["wallet_hooks_group_size_count"] <= 3
    assert metrics["wallet_hooks_group_size_sum"] == 20


def wait_for_arrival(url: str) -> None:
    """Return after what was sent before has arrived: the loop receives in the order of arrival, or nearly."""
    with wire(url) as other:
        for _ in range(3):
            other.send(request("/healthz", method=b"GET", headers=b""))
            assert other.answer().status == 200


def metrics_of(url: str) -> dict[str, float]:
    with wire(url) as client:
        client.send(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        lines = client.rest().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line.startswith("wallet_hooks_"))
    return {name: float(value) for name, _, value in pairs}


def test_a_full_queue_refuses_callbacks_at_once(settled_world: World, tmp_path: Path) -> None:
    with waiting_service(settled_world, tmp_path, WALLET_HOOKS_QUEUE_SIZE="2") as (url, _), ExitStack() as connections:
        clients = [connections.enter_context(wire(url)) for _ in range(4)]
        with locked_table(settled_world):
            for number, client in enumerate(clients):
                client.send(placed(number))
                wait_for_arrival(url)
            assert clients[3].answer() == BUSY
        assert [client.answer() for client in clients[:3]] == [ACCEPTED] * 3
    assert settled_world.count("wager") == 3


def test_a_callback_that_waits_too_long_is_refused_and_not_run(settled_world: World, tmp_path: Path) -> None:
    with (
        waiting_service(settled_world, tmp_path, WALLET_HOOKS_REQUEST_TIMEOUT="0.3") as (url, _),
        wire(url) as first,
        wire(url) as second,
    ):
        with locked_table(settled_world):
            first.send(placed(1))
            wait_for_arrival(url)
            second.send(placed(2))
            assert second.answer() == BUSY
        assert first.answer() == ACCEPTED
        second.send(placed(3))
        assert second.answer() == ACCEPTED
    assert settled_world.count("wager") == 2


def test_callbacks_of_a_locked_customer_wait_beside_the_others(settled_world: World, tmp_path: Path) -> None:
    if settled_world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks its whole file")
    with waiting_service(settled_world, tmp_path) as (url, _), ExitStack() as connections:
        waiting = [connections.enter_context(wire(url)) for _ in range(5)]
        other = connections.enter_context(wire(url))
        with writing(settled_world.engine) as session:
            customer_by_uid(session, client="acme", uid="7", lock=True)
            for number, client in enumerate(waiting):
                client.send(placed(number, user=7))
                other.send(placed(100 + number, user=8))
                assert other.answer() == ACCEPTED
        assert [client.answer() for client in waiting] == [ACCEPTED] * 5
    assert (settled_world.balance("7"), settled_world.balance("8")) == ("95.00", "95.00")


def test_sigterm_lets_a_running_group_and_those_that_wait_finish(settled_world: World, tmp_path: Path) -> None:
    with waiting_service(settled_world, tmp_path) as (url, master), ExitStack() as connections:
        clients = [connections.enter_context(wire(url)) for _ in range(3)]
        with locked_table(settled_world):
            for number, client in enumerate(clients):
                client.send(placed(number))
                wait_for_arrival(url)
            os.kill(master, signal.SIGTERM)
            wait_until_refused(url)
        assert [client.answer() for client in clients] == [(200, "close", b'{"status":"OK"}')] * 3
        assert all(client.is_closed() for client in clients)
    assert settled_world.count("wager") == 3


def wait_until_refused(url: str) -> None:
    """Wait until the service accepts no connections any more."""
    parts = urlsplit(url)
    for _ in range(500):
        try:
            with socket.create_connection((parts.hostname, parts.port or 80), 10) as connection:
                connection.sendall(request("/healthz", method=b"GET", headers=b""))
                if not connection.recv(1):
                    return
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the service still accepts connections")
