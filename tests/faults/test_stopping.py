"""The service is stopped or reloaded while clients send: what has arrived is answered, and nobody is reset."""

import http.client
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from tests import postgresql
from tests.service import PATIENT_SETTINGS, command, post, served, status_of, wait_until_ready, workers_of
from tests.waiting import wait_until
from tests.wire import request, wire
from tests.worker_classes import OWN, TARDY
from tests.world import OK, World, bet
from wallet_hooks.worker import CallbackWorker

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.served

CLIENTS = 12


class BettingClient(threading.Thread):
    """Sends bets of 0.01 one after the other, on a connection that it keeps or, if `is_new`, on a new one for each.

    It counts how requests ended: by status, `refused` if the connection was not opened, or `lost: …` if a request was
    sent and not answered. It ends when a connection is refused, or on `stop`.
    """

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self.address = urlsplit(url)
        self.number = number
        self.is_new = number % 2 == 0
        self.ends: Counter[int | str] = Counter()
        self.stop = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=30)
        uid = self.number * 1_000_000
        while not self.stop.is_set():
            uid += 1
            if connection.sock is None:
                try:
                    connection.connect()
                except OSError:
                    self.ends["refused"] += 1
                    return
            self.ends[self.send(connection, uid)] += 1
            if self.is_new:
                connection.close()
        connection.close()

    def send(self, connection: http.client.HTTPConnection, uid: int) -> int | str:
        """Send a bet; the connection is closed afterwards if the answer says so."""
        body = json.dumps({"bets": [bet(uid, "0.01")]})
        try:
            connection.request("POST", "/bets", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"lost: {error!r}"
        return answer.status


@contextmanager
def sending(url: str) -> Iterator[list[BettingClient]]:
    clients = [BettingClient(url, number) for number in range(1, CLIENTS + 1)]
    for client in clients:
        client.start()
    wait_until(lambda: all(client.ends for client in clients))
    yield clients
    for client in clients:
        client.stop.set()
        client.join(30)


def ends(clients: list[BettingClient]) -> Counter[int | str]:
    return sum((client.ends for client in clients), Counter())


def have_ended(clients: list[BettingClient], count: int) -> bool:
    """Return whether the clients' requests that have ended are as many."""
    return sum(ends(clients).values()) >= count


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: a disk may take longer for one commit than a test waits."""
    with tempfile.TemporaryDirectory(dir=postgresql.memory()) as directory:
        yield Path(directory)


@pytest.fixture
def rich_world(world: World) -> World:
    world.deposit("100000.00")
    world.close_app()
    return world


def test_sigterm_answers_what_has_arrived_and_refuses_the_rest(rich_world: World, tmp_path: Path) -> None:
    with served(rich_world.settings.database_url, tmp_path, workers=2, worker_class=OWN, settings=PATIENT_SETTINGS) as (
        url,
        master,
    ):
        with ExitStack() as idle, sending(url) as clients:
            for _ in range(20):
                idle.enter_context(wire(url))
            os.kill(master, signal.SIGTERM)
            for client in clients:
                client.join(10)
                assert not client.is_alive(), "a client still connects"
        found = ends(clients)
    assert set(found) == {200, "refused"}
    assert rich_world.count("wager") == found[200]


def test_sigterm_is_not_lost_while_the_worker_looks_for_its_arbiter(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = CallbackWorker.__new__(CallbackWorker)
    worker.alive = True

    def is_parent_alive(self: ThreadWorker) -> bool:
        self.alive = False  # as gunicorn's handler of SIGTERM does
        return True

    monkeypatch.setattr(ThreadWorker, "is_parent_alive", is_parent_alive)
    assert not worker.is_parent_alive()
    assert not worker.alive


def test_sigterm_is_not_lost_while_a_worker_starts(rich_world: World, tmp_path: Path) -> None:
    with served(rich_world.settings.database_url, tmp_path, worker_class=TARDY):
        wait_until(lambda: (tmp_path / "server.log").read_text().count("Booting worker") == 2)


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_worker_that_stops_keeps_no_closed_socket_in_its_loop(has_begun: bool) -> None:
    worker = CallbackWorker(1, os.getpid(), [], None, 0, Config(), None)
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as worker.poller:
        worker.sockets = [listener]
        if has_begun:
            worker.set_accept_enabled(True)
            assert len(worker.poller.get_map()) == 1
        worker.alive = False
        worker.set_accept_enabled(True)  # by gunicorn, which had read `alive` before
        assert len(worker.poller.get_map()) == 0
        assert listener.fileno() == -1
    worker.tmp.close()


@pytest.mark.parametrize("by_threads", ["", "--proxy-protocol auto"])
def test_idle_connections_end_before_the_graceful_time_out(
    rich_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_threads: str
) -> None:
    """Where threads receive, too."""
    monkeypatch.setenv("GUNICORN_CMD_ARGS", f"--graceful-timeout 300 --keep-alive 300 {by_threads}")
    with served(rich_world.settings.database_url, tmp_path, worker_class=OWN) as (url, master), wire(url) as idle:
        idle.send(request("/healthz", method=b"GET", headers=b""))
        assert idle.answer()[:2] == (200, "keep-alive")
        os.kill(master, signal.SIGTERM)
        assert idle.is_closed()


def test_connections_close_after_their_answers_if_the_operator_says_so(
    rich_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--keep-alive 0")
    with served(rich_world.settings.database_url, tmp_path, worker_class=OWN) as (url, _), wire(url) as client:
        client.send(request("/bets", b"{}"))
        assert client.answer().connection == "close"
        assert client.is_closed()


def test_idle_connections_do_not_delay_the_stop(rich_world: World, tmp_path: Path) -> None:
    with served(rich_world.settings.database_url, tmp_path, worker_class=OWN) as (url, master), wire(url) as idle:
        (worker,) = workers_of(master)
        os.kill(master, signal.SIGTERM)
        began = time.monotonic()
        assert idle.is_closed()
        while Path(f"/proc/{worker}").exists() and time.monotonic() < began + 30:
            time.sleep(0.02)
        assert time.monotonic() - began < 10, "gunicorn's graceful time-out is 20 seconds"


@pytest.mark.parametrize("path", ["/healthz", "/v1/x"])
def test_the_next_request_of_a_kept_connection_is_answered_and_then_it_closes(
    rich_world: World, tmp_path: Path, path: str
) -> None:
    with (
        served(rich_world.settings.database_url, tmp_path, worker_class=OWN) as (url, master),
        closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as kept,
    ):
        for number in range(4):
            if number == 3:
                os.kill(master, signal.SIGTERM)
                wait_until(lambda: "Handling signal: term" in (tmp_path / "server.log").read_text())
                time.sleep(0.1)
            kept.request("GET", path)
            answer = kept.getresponse()
            answer.read()
            assert answer.getheader("Connection") == ("close" if number == 3 else "keep-alive")


def test_a_worker_that_was_held_up_receives_before_it_closes_idle_connections(
    rich_world: World, tmp_path: Path
) -> None:
    with (
        served(rich_world.settings.database_url, tmp_path, worker_class=OWN) as (url, master),
        closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as kept,
    ):
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        (worker,) = workers_of(master)
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in (tmp_path / "server.log").read_text())
        time.sleep(0.1)
        os.kill(worker, signal.SIGSTOP)
        time.sleep(1.5)  # longer than a connection may be idle now
        os.kill(worker, signal.SIGCONT)
        time.sleep(0.02)  # its loop wakes up before the client sends
        kept.request("GET", "/healthz")
        assert kept.getresponse().status == 200


def test_reloading_loses_no_request(rich_world: World, tmp_path: Path) -> None:
    with served(rich_world.settings.database_url, tmp_path, workers=2, worker_class=OWN, settings=PATIENT_SETTINGS) as (
        url,
        master,
    ):
        with sending(url) as clients:
            for _ in range(2):
                before = set(workers_of(master))
                os.kill(master, signal.SIGHUP)
                wait_for_others(master, before)
        found = ends(clients)
    assert set(found) == {200}
    assert rich_world.count("wager") == found[200]


def wait_for_others(master: int, before: set[int], count: int = 2) -> None:
    def are_others() -> bool:
        now = workers_of(master)
        return len(now) == count and before.isdisjoint(now)

    wait_until(are_others)


def test_a_worker_has_the_release_of_its_master_after_another_was_installed(rich_world: World, tmp_path: Path) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "wallet_hooks", code / "wallet_hooks")
    shutil.copytree(ROOT / "migrations", code / "migrations")
    app = "wallet_hooks.wsgi:app"
    with served(rich_world.settings.database_url, tmp_path, app=app, worker_class=OWN, code=code) as (url, master):
        for module in (code / "wallet_hooks").rglob("*.py"):
            if module.name != "wsgi.py":
                module.write_text("raise RuntimeError('of another release')\n")
        (code / "migrations/versions/9999_newer.py").touch()
        for number, signal_number in enumerate((signal.SIGHUP, signal.SIGKILL), start=1):
            (before,) = workers_of(master)
            os.kill(master if signal_number == signal.SIGHUP else before, signal_number)
            wait_for_others(master, {before}, count=1)
            assert post(url, "/bets", {"bets": [bet(number, "0.01")]}) == OK
            assert post(url, "/v1/sessions/", {"username": "nobody", "password": "x"}).status == 401
            assert status_of(f"{url}/readyz") == 200
    assert "of another release" not in (tmp_path / "server.log").read_text()


@contextmanager
def activated(listener: socket.socket, database_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service with a socket that is kept open for it, as systemd does."""
    script = f'exec 3<&{listener.fileno()}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
    environment = os.environ | PATIENT_SETTINGS | {"WALLET_HOOKS_DATABASE_URL": database_url, "WEB_CONCURRENCY": "2"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command("wsgi:app", OWN)],
            env=environment, pass_fds=[listener.fileno()], stdout=output, stderr=output,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_a_restart_behind_a_socket_of_systemd_refuses_nobody(rich_world: World, tmp_path: Path) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2048))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for number in range(2):
            with activated(listener, rich_world.settings.database_url, tmp_path / "server.log"):
                wait_until_ready(url)
                if number == 0:
                    clients = stack.enter_context(sending(url))
                answered = sum(ends(clients).values())
                wait_until(partial(have_ended, clients, answered + 100))
                if number == 1:
                    for client in clients:
                        client.stop.set()
                        client.join(30)
        found = ends(clients)
    assert set(found) == {200}
    assert rich_world.count("wager") == found[200]
