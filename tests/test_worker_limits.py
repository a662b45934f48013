"""What one client can take from the others: threads, connections, files and memory of a worker."""

import gc
import os
import resource
import signal
import socket
import weakref
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config

from tests.service import served, workers_of
from tests.waiting import wait_until
from tests.wire import request, wire
from tests.worker_classes import FRUGAL, OWN, PATIENT, PATIENT_NARROW
from tests.worker_connections import connections_of
from wallet_hooks.web.answer_socket import AnswerSocket
from wallet_hooks.web.arriving import HeadParser
from wallet_hooks.web.loop_connection import LoopConnection
from wallet_hooks.web.method_queue import MethodQueue
from wallet_hooks.worker import CallbackWorker

CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.0.0.1", 8080)
HEALTH = request("/healthz", method=b"GET", headers=b"")
DOCUMENT = request("/openapi.json", method=b"GET", headers=b"")
MORE_THAN_THREADS = 40


@pytest.mark.served
def test_clients_that_send_more_after_their_request_take_no_thread(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, worker_class=PATIENT) as (url, _), ExitStack() as connections:
        for _ in range(MORE_THAN_THREADS):
            client = connections.enter_context(wire(url))
            client.send(request("/nowhere", method=b"GET", headers=b""), b"G")
            assert client.answer()[:2] == (404, "close")  # and it stays open
        with wire(url) as other:
            other.send(HEALTH)
            assert other.answer().status == 200


@pytest.mark.served
def test_clients_that_do_not_read_long_answers_take_no_thread(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, worker_class=PATIENT_NARROW) as (url, _), ExitStack() as connections:
        greedy = [connections.enter_context(wire(url, buffer=1)) for _ in range(MORE_THAN_THREADS)]
        for client in greedy:
            client.send(DOCUMENT)
        with wire(url) as other:
            other.send(HEALTH)
            assert other.answer().status == 200
            other.send(DOCUMENT)
            whole = other.answer()
        for client in greedy:
            assert client.answer() == whole
            client.send(HEALTH)
            assert client.answer()[:2] == (200, "keep-alive")


@pytest.mark.served
def test_long_answers_that_nobody_reads_take_a_bounded_amount_of_memory(database_url: str, tmp_path: Path) -> None:
    """The worker class holds less than two documents."""
    with served(database_url, tmp_path, worker_class=FRUGAL) as (url, master), ExitStack() as connections:
        greedy = [connections.enter_context(wire(url, buffer=1)) for _ in range(5)]
        for client in greedy:
            client.send(DOCUMENT)
            with wire(url) as other:
                other.send(HEALTH)
                assert other.answer().status == 200
        wait_until(lambda: sum(connections_of(master, url).values()) == 1)
        assert sum(client.is_cut() for client in greedy) == len(greedy) - 1


@pytest.mark.served
def test_a_worker_without_files_goes_on_when_it_has_some(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, worker_class=OWN) as (url, master), ExitStack() as connections:
        kept = connections.enter_context(wire(url))
        kept.send(HEALTH)
        assert kept.answer().status == 200
        (worker,) = workers_of(master)
        os.kill(worker, signal.SIGSTOP)  # so that it accepts no client before this one has sent: it may close it then
        files = len(os.listdir(f"/proc/{worker}/fd"))
        soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (files, hard))
        waiting = [connections.enter_context(wire(url)) for _ in range(3)]
        for client in waiting:
            client.send(HEALTH)
        os.kill(worker, signal.SIGCONT)
        wait_until(lambda: "no connection is accepted for a moment" in (tmp_path / "server.log").read_text())
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
        for client in waiting:
            assert client.answer().status == 200
        assert workers_of(master) == [worker]


@pytest.mark.parametrize("sent", [b"", b"x"])
def test_a_connection_with_a_request_that_was_not_received_yet_is_not_closed_as_idle(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = LoopConnection(HeadParser(Config(), None), Config(), ours, CLIENT, SERVER)
        theirs.sendall(sent)
        assert connection.is_idle
        assert connection.has_sent_more() == bool(sent)
        theirs.close()
        assert connection.has_sent_more() == bool(sent)


def test_a_connection_that_a_thread_has_closed_ends_and_not_the_worker() -> None:
    worker = CallbackWorker(1, os.getpid(), [], None, 0, Config(), None)
    ours, theirs = socket.socketpair()
    connection = LoopConnection(HeadParser(Config(), None), Config(), ours, CLIENT, SERVER)
    worker._connections.add(connection)
    worker.nr_conns = 1
    with theirs:
        ours.close()  # as gunicorn does after an error within an answer
        answered: Future[bool] = Future()
        answered.set_result(False)
        worker.finish_request(connection, answered)
    assert worker.nr_conns == 0
    worker.tmp.close()


def test_a_head_that_is_kept_keeps_no_body() -> None:
    parser = HeadParser(Config(), None)
    segments = deque([b"POST /bets HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\n", b"x" * 5000])
    held = weakref.ref(segments)
    head = parser.parse(segments, CLIENT, SERVER)
    assert head is not None
    del segments
    gc.collect()
    assert held() is None


def test_nothing_of_an_answer_is_sent_twice_after_a_time_out() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.1)
        answering = AnswerSocket(ours)
        with pytest.raises(TimeoutError):
            answering.sendall(b"x" * 5_000_000)
        assert answering.unsent == b""


def test_a_thread_that_ends_after_its_worker_writes_to_no_other_file(tmp_path: Path) -> None:
    queue: Any = MethodQueue()
    queue.init()
    queue.close()
    with ExitStack() as files:
        others = [files.enter_context((tmp_path / str(number)).open("wb")) for number in range(4)]
        queue.defer(lambda: None)
        assert [os.fstat(other.fileno()).st_size for other in others] == [0] * 4
