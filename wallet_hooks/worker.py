"""A gunicorn worker class: gunicorn's gthread, whose loop receives requests itself and answers callbacks in groups.

gthread gives every connection to a thread, which waits for the request, parses it and runs the application. For a bet,
seven tenths of the time are threads that wait for each other. This class differs in three points:

- The loop receives requests, and judges their heads with gunicorn's own parser. A connection takes a thread only when
  its request has arrived, so that slow clients cost the others nothing.
- Plain requests to the application's GroupedApi (the callbacks) that have arrived are answered together, in one
  database transaction, by one thread beside the loop: the loop goes on while the database works. All other requests go
  to the thread pool, as in gthread, and so does every request whose head is unusual.
- A worker that has more connections than another leaves new ones to it for a moment.

The application stays a WSGI application: under gthread, or any other server, it gives the same answers.
"""

import selectors
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from gunicorn.workers.gthread import ThreadWorker

from wallet_hooks import clock
from wallet_hooks.web import api
from wallet_hooks.web.api import ApiRequest, Call, Endpoint, GroupedApi, Reply
from wallet_hooks.web.arriving import Head, HeadParser
from wallet_hooks.web.connection_counts import ConnectionCounts
from wallet_hooks.web.http_answers import render
from wallet_hooks.web.loop_connection import LoopConnection, State
from wallet_hooks.web.requests import RejectedBodyError, body_length

_PAUSE = 0.002  # seconds that a new connection is left to a worker with fewer ones
_LARGEST_GROUP = 128
# Seconds that a group waits at most, after the last one was answered, for as many callbacks as took part in that one or
# waited beside it: clients answer with their next request. Otherwise two halves of the clients would take turns, and a
# bet in a group of half the size costs nearly twice as much.
_GATHER = 0.001
# Largest body that the loop receives for the thread pool; a larger one is received by a thread.
_BODY_CAP = 64 * 1024
_BUFFER_CAP = 64 * 1024 * 1024  # bytes of all requests that are arriving, beyond those with small bodies

_EVENTS = {
    State.REQUEST: selectors.EVENT_READ,
    State.CLIENT: selectors.EVENT_WRITE,
    State.END: selectors.EVENT_READ,
}

_counts = ConnectionCounts()


class Arrived(NamedTuple):
    """A callback that has arrived, and its connection."""

    connection: LoopConnection
    call: Call


class CallbackWorker(ThreadWorker):  # type: ignore[misc]
    """Runs the loop, in the worker's main thread."""

    alive: bool  # of gunicorn: False once the worker is to end

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Encrypted connections, and those that begin with another protocol, are received by threads.
        self._receives = not self.cfg.is_ssl and self.cfg.http2_cleartext == "off" and self.cfg.proxy_protocol == "off"
        self._head_parser = HeadParser(self.cfg)
        self._grouped: GroupedApi | None = None
        self._connections: set[LoopConnection] = set()
        self._arrived: deque[Arrived] = deque()
        self._group_thread = ThreadPoolExecutor(max_workers=1)
        self._is_group_running = False
        # Callbacks whose customers another transaction has locked, and the thread that waits for the locks.
        self._locked: deque[Arrived] = deque()
        self._waiting_thread = ThreadPoolExecutor(max_workers=1)
        self._is_waiting_group_running = False
        self._gather_until = 0.0
        self._expected = 0  # callbacks of the next group
        self._resume_at: float | None = None
        self._has_paused = False
        self._check_at = 0.0
        self._notify_at = 0.0

    def init_process(self) -> None:
        """Run the worker, in its own process."""
        self._publish_count()
        super().init_process()

    def notify(self) -> None:
        """Tell the arbiter that the worker lives; once a second is enough, and each is a system call."""
        now = clock.monotonic()
        if now >= self._notify_at:
            self._notify_at = now + 1
            super().notify()

    def load_wsgi(self) -> None:
        """Load the application, and find its grouped API."""
        super().load_wsgi()
        if self._receives and not self.log.access_log_enabled:
            self._grouped = getattr(self.wsgi, "extensions", {}).get(api.GROUPED_API)

    def release(self) -> None:
        """Remove the worker from those that others leave connections to; called in the master when it has ended."""
        _counts.remove(self.age)

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker has fewer and this is the first attempt."""
        if not self._has_paused and _counts.others_have_fewer(self.age, self.nr_conns):
            self._resume_at = clock.monotonic() + _PAUSE
            self.set_accept_enabled(False)
            return
        self._has_paused = False
        if self._receives:
            self._accept(listener)
        else:
            super().accept(listener)
        self._publish_count()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Enable or disable accepting; it stays disabled while a connection is left to another worker."""
        if not (enabled and self._resume_at is not None):
            super().set_accept_enabled(enabled)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handle what is ready, then start a group of the callbacks that have arrived."""
        waits = [timeout]
        if self._resume_at is not None:
            waits.append(self._resume_at - clock.monotonic())
        waits += [self._patience(waiting[0]) for waiting in (self._arrived, self._locked) if waiting]
        if self._arrived and not self._is_group_running:
            waits.append(self._gather_until - clock.monotonic())
        super().wait_for_and_dispatch_events(max(min(waits), 0))
        self._start_group()
        self._publish_count()
        if self._resume_at is not None and clock.monotonic() >= self._resume_at:
            self._resume_at, self._has_paused = None, True

    def murder_keepalived(self) -> None:
        """Close connections whose clients are too slow, and refuse callbacks that have waited too long."""
        for waiting in (self._arrived, self._locked):
            while waiting and self._patience(waiting[0]) <= 0:
                self._refuse(waiting.popleft())
        now = clock.monotonic()
        if now >= self._check_at:
            self._check_at = now + 1
            for connection in [one for one in self._connections if one.is_late(now)]:
                self._drop(connection)
        super().murder_keepalived()

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        """Take a connection back from the thread pool."""
        if not isinstance(conn, LoopConnection):
            super().finish_request(conn, fs)
        elif fs.cancelled() or not fs.result() or not self.alive:
            self._handle(conn, conn.end)
        else:
            conn.await_request()
            self._handle(conn, partial(self._advance, conn))

    # A connection's life in the loop.

    def _accept(self, listener: Any) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            accepted, client = listener.accept()
            connection = LoopConnection(self._head_parser, self.cfg, accepted, client, listener.getsockname())
            self.nr_conns += 1
            self._connections.add(connection)
            self._watch(connection)

    def _on_ready(self, connection: LoopConnection, _socket: Any) -> None:
        match connection.state:
            case State.REQUEST:
                self._handle(connection, partial(self._receive, connection))
            case State.ANSWER:
                self._unwatch(connection)
            case State.CLIENT:
                self._handle(connection, connection.send)
            case State.END:
                self._handle(connection, connection.discard)

    def _handle(self, connection: LoopConnection, step: Callable[[], None]) -> None:
        """Run a step of a connection, and wait for what it needs next."""
        try:
            step()
        except OSError:  # the client has left
            connection.state = State.OVER
        except Exception:  # a defect: it ends this connection, not the worker with all others
            self.log.exception("a connection failed")
            connection.state = State.OVER
        if connection.state is State.OVER:
            self._drop(connection)
        else:
            self._watch(connection)

    def _watch(self, connection: LoopConnection) -> None:
        """Wait for what the connection needs; while it is answered, it stays as it is until the client sends."""
        events = _EVENTS.get(connection.state, connection.events)
        if events and not connection.events:
            self.poller.register(connection.sock, events, partial(self._on_ready, connection))
        elif events != connection.events:
            self.poller.modify(connection.sock, events, partial(self._on_ready, connection))
        connection.events = events

    def _unwatch(self, connection: LoopConnection) -> None:
        if connection.events:
            self.poller.unregister(connection.sock)
            connection.events = 0

    def _drop(self, connection: LoopConnection) -> None:
        if connection in self._connections:
            self._unwatch(connection)
            self._connections.remove(connection)
            self.nr_conns -= 1
            connection.close()

    def _receive(self, connection: LoopConnection) -> None:
        while connection.state is State.REQUEST and connection.receive():
            self._advance(connection)

    def _advance(self, connection: LoopConnection) -> None:
        """Answer a request, or have it answered, if enough of it has arrived."""
        arriving = connection.arriving
        if not arriving.size:
            if connection.is_at_end:
                connection.state = State.OVER
            return
        is_judged, is_at_end = arriving.read_head(), connection.is_at_end
        if not is_judged and not is_at_end:
            return
        head, missing = arriving.head, arriving.missing
        endpoint = self._endpoint(head)
        is_received_here = endpoint is not None or (head is not None and head.body_size <= _BODY_CAP)
        if missing > 0 and not is_at_end and is_received_here and self._has_room_for(connection):
            return
        connection.state = State.ANSWER
        if endpoint and missing == 0:
            self._answer_grouped(connection, endpoint)
        else:
            self._unwatch(connection)
            self.enqueue_req(connection)

    def _has_room_for(self, connection: LoopConnection) -> bool:
        """Return whether the loop may receive more of a request; otherwise a thread receives it, and others wait."""
        size = connection.arriving.size
        return size <= _BODY_CAP or sum(one.arriving.size for one in self._connections) <= _BUFFER_CAP

    # Callbacks.

    def _endpoint(self, head: Head | None) -> Endpoint | None:
        """Return the endpoint of a plain request to the grouped API whose body is to be read, or None."""
        grouped = self._grouped
        if grouped is None or head is None or not head.is_plain:
            return None
        endpoint = grouped.endpoints.get(head.uri)
        if endpoint is None or endpoint.method != head.method:
            return None
        try:
            body_length(head.environ, cap=grouped.settings.body_cap)
        except RejectedBodyError:
            return None
        return endpoint

    def _answer_grouped(self, connection: LoopConnection, endpoint: Endpoint) -> None:
        assert self._grouped is not None
        call = Call(endpoint, ApiRequest(connection.arriving.take_request(), self._grouped.settings))
        self._arrived.append(Arrived(connection, call))
        self._count_request()
        if len(self._arrived) + len(self._locked) > self._grouped.settings.queue_size:
            self._refuse(self._arrived.pop())

    def _count_request(self) -> None:
        """Count a request as gunicorn does, which may end the worker after a number of them."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _patience(self, arrived: Arrived) -> float:
        """Return the seconds that a callback still waits for its group."""
        assert self._grouped is not None
        return arrived.call.request.started + self._grouped.settings.request_timeout - clock.monotonic()

    def _start_group(self) -> None:
        if not self._arrived or self._is_group_running:
            return
        if len(self._arrived) >= self._expected or clock.monotonic() >= self._gather_until:
            assert self._grouped is not None
            self._is_group_running = True
            group = [self._arrived.popleft() for _ in range(min(len(self._arrived), _LARGEST_GROUP))]
            self._run(self._group_thread, group, self._finish_group, wait=False)

    def _finish_group(self, group: Sequence[Arrived], done: "Future[list[Reply | None]]") -> None:
        self._is_group_running = False
        self._expected = len(group) + len(self._arrived)
        self._gather_until = clock.monotonic() + _GATHER
        for arrived, reply in zip(group, done.result(), strict=True):
            if reply is None:
                self._locked.append(arrived)
            else:
                self._send(arrived.connection, reply)
        self._start_waiting_group()

    def _start_waiting_group(self) -> None:
        """Have the callbacks answered that were left out of their groups, in a thread that waits for the locks."""
        if self._locked and not self._is_waiting_group_running:
            self._is_waiting_group_running = True
            group, self._locked = list(self._locked), deque()
            self._run(self._waiting_thread, group, self._finish_waiting_group, wait=True)

    def _finish_waiting_group(self, group: Sequence[Arrived], done: "Future[list[Reply | None]]") -> None:
        self._is_waiting_group_running = False
        for arrived, reply in zip(group, done.result(), strict=True):
            assert reply is not None, "a group that waits for locks leaves no callback out"
            self._send(arrived.connection, reply)
        self._start_waiting_group()

    def _run(
        self,
        thread: ThreadPoolExecutor,
        group: Sequence[Arrived],
        finish: "Callable[[Sequence[Arrived], Future[list[Reply | None]]], None]",
        *,
        wait: bool,
    ) -> None:
        assert self._grouped is not None
        calls = [arrived.call for arrived in group]
        running = thread.submit(api.answer_group, self._grouped, calls, wait=wait)
        running.add_done_callback(lambda done: self.method_queue.defer(finish, group, done))

    def _refuse(self, arrived: Arrived) -> None:
        assert self._grouped is not None
        self._send(arrived.connection, api.refuse_busy(self._grouped, arrived.call))

    def _send(self, connection: LoopConnection, reply: Reply) -> None:
        connection.closes = not self.alive
        self._handle(connection, partial(connection.send, render(reply, closes=connection.closes)))

    def _publish_count(self) -> None:
        _counts.publish(self.age, self.nr_conns)
