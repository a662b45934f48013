"""A gunicorn worker class: gunicorn's gthread, whose loop receives requests itself and answers callbacks in groups.

gthread gives every connection to a thread, which waits for the request, parses it and runs the application. For a bet,
seven tenths of the time are threads that wait for each other. This class differs in these points:

- The loop receives requests, and parses their heads with gunicorn's own parser. A connection takes a thread only when
  its request has arrived, and none while its client takes the answer, so that slow clients cost the others nothing. The
  few requests whose rest a thread has to read (an unusual head, a long body) take a quarter of the threads at most.
- Plain requests to the application's GroupedApi (the callbacks) that have arrived are answered together, in one
  database transaction, by a thread beside the loop: the loop goes on while the database works. All other requests go
  to the thread pool, as in gthread, and so does every request whose head is unusual.
- A worker that has more active connections than another leaves new ones to it for a moment. If it has many more than
  the workers' mean, because another one is new or has lost its own, it closes as many after answers to callbacks: their
  clients open new ones.
- A worker that has as many connections as it may have closes some that wait for their clients: first those that have
  sent nothing.
- A worker that stops first accepts the connections that the kernel holds for it, and then closes its listening
  sockets: requests that have arrived are answered, and later clients are refused at once, not reset afterwards.

The application stays a WSGI application: under gthread, or any other server, it gives the same answers.
"""

import selectors
import sys
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from heapq import nsmallest
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from wallet_hooks import clock
from wallet_hooks.web.api import GROUPED_API, GroupedApi, Reply
from wallet_hooks.web.arriving import SEGMENT, Arriving, HeadParser
from wallet_hooks.web.call_groups import CallGroups
from wallet_hooks.web.connection_counts import ConnectionCounts, Connections
from wallet_hooks.web.http_answers import render
from wallet_hooks.web.loop_connection import LoopConnection, State
from wallet_hooks.web.method_queue import MethodQueue

_STOP_IDLE = 1.0  # seconds in which a kept connection may still send a request, once the worker stops
_ACTIVE = 1.0  # seconds for which a connection is active after it was opened or its last answer
_PAUSE = 0.002  # seconds that a new connection is left to a worker with fewer ones
# Largest body that the loop receives for the thread pool; a larger one is received by a thread.
_BODY_CAP = 64 * 1024
_BUFFER_CAP = 64 * 1024 * 1024  # bytes of all requests that are arriving; above it, threads receive large bodies
_UNSENT_CAP = 64 * 1024 * 1024  # bytes of all answers that wait for their clients
_FAILED_PAUSE = 1.0  # seconds without accepting after the system refused a connection

_EVENTS = {
    State.REQUEST: selectors.EVENT_READ,
    State.CLIENT: selectors.EVENT_WRITE,
    State.END: selectors.EVENT_READ,
}

_counts = ConnectionCounts()


class CallbackWorker(ThreadWorker):  # type: ignore[misc]
    """Runs the loop, in the worker's main thread."""

    alive: bool  # of gunicorn: False once the worker is to end

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # Encrypted connections, and those that begin with another protocol, are received by threads.
        self.receives = not self.cfg.is_ssl and self.cfg.http2_cleartext == "off" and self.cfg.proxy_protocol == "off"
        self.method_queue = MethodQueue()
        self._connections: set[LoopConnection] = set()
        self._unread: deque[LoopConnection] = deque()  # for a thread to read the rest of their requests
        self._reading: set[LoopConnection] = set()  # which a thread does
        self._groups: CallGroups | None = None
        self._resume_at: float | None = None
        self._has_paused = False
        self._has_stopped_accepting = False
        self._check_at = 0.0
        self._notify_at = 0.0
        self._inactive = 0  # connections, when they were last counted
        self._surplus = 0  # connections to close, because others have fewer

    def run(self) -> None:
        """Run the loop until the worker is to end."""
        self._publish_count()
        super().run()

    def notify(self) -> None:
        """Tell the arbiter that the worker runs; once a second is enough, and each is a system call."""
        now = clock.monotonic()
        if now >= self._notify_at:
            self._notify_at = now + 1
            super().notify()

    def load_wsgi(self) -> None:
        """Load the application, and find its grouped API."""
        super().load_wsgi()
        grouped: GroupedApi | None = getattr(self.wsgi, "extensions", {}).get(GROUPED_API)
        if grouped is not None and self.receives and not self.log.access_log_enabled:
            self._groups = CallGroups(grouped, self.method_queue.defer)
        self._head_parser = HeadParser(self.cfg, grouped if self._groups else None)

    def release(self) -> None:
        """Remove the worker from those that others leave connections to; called in the master when it has ended."""
        _counts.remove(self.age)

    def accept(self, listener: Any) -> None:
        """Accept a connection, unless another worker has fewer and it was not left to that one yet."""
        if self._has_stopped_accepting:
            return
        if not self._has_paused and _counts.others_have_fewer(self.age, self._count_connections()):
            self._resume_at = clock.monotonic() + _PAUSE
            self.set_accept_enabled(False)
            return
        try:
            self._accept(listener)
        except OSError as error:  # such as no more files
            self.log.error("no connection is accepted for a moment: %s", error)
            self._close_oldest_idle(None)
            self._resume_at = clock.monotonic() + _FAILED_PAUSE
            self.set_accept_enabled(False)
        self._publish_count()  # at once: the others decide by it

    def set_accept_enabled(self, enabled: bool) -> None:
        """Enable or disable accepting; it stays disabled while a connection is left to another worker.

        gunicorn disables it when the worker begins to stop.
        """
        if not (enabled and self._resume_at is not None):
            super().set_accept_enabled(enabled and self.alive)
        if not self.alive and not self._has_stopped_accepting:
            self._has_stopped_accepting = True
            self._stop_accepting()

    def is_parent_alive(self) -> bool:
        """Return whether the worker goes on: without the arbiter it stops as it does after SIGTERM."""
        if not super().is_parent_alive():
            self.alive = False  # never set to what was read before: SIGTERM may have come meanwhile
        return self.alive

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handle what is ready, then start a group of the callbacks that have arrived."""
        waits = [timeout]
        if self._resume_at is not None:
            waits.append(self._resume_at - clock.monotonic())
        if self._groups is not None:
            waits += self._groups.seconds()
        if not self.alive:
            waits.append(_STOP_IDLE / 5)
        if self._has_paused:
            waits.append(0)  # a connection that was left is there now, or others have taken it
        super().wait_for_and_dispatch_events(max(min(waits), 0))
        self._has_paused = False
        if self._groups is not None:
            self._groups.start()
        self._publish_count()
        if self._resume_at is not None and clock.monotonic() >= self._resume_at:
            self._resume_at, self._has_paused = None, True

    def murder_keepalived(self) -> None:
        """Close connections whose clients are too slow, and refuse callbacks that have waited too long."""
        if self._groups is not None:
            self._groups.refuse_late()
        now = clock.monotonic()
        if now >= self._check_at:
            interval = 1 if self.alive else _STOP_IDLE / 5
            if now < self._check_at + interval:
                self._close_late(now)
            # Otherwise the process was paused, perhaps with its clients: what they send now is received first.
            self._check_at = now + interval
            self._count_inactive(now)
            self._surplus = self._count_surplus() if self.alive else 0
        super().murder_keepalived()

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Take a connection back from the thread pool."""
        if not isinstance(conn, LoopConnection):
            super().finish_request(conn, fs)
        else:
            self._reading.discard(conn)
            self._start_reading()
            is_kept = not fs.cancelled() and fs.exception() is None and fs.result()
            conn.closes = not is_kept
            self._handle(conn, partial(self._send_rest, conn))
            if conn.unsent:
                self._bound_unsent()

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request, in a thread of the pool."""
        with conn.answered_by_thread() if isinstance(conn, LoopConnection) else nullcontext():
            return super().handle_request(req, conn)

    # States of a connection in the loop.

    def _accept(self, listener: Any) -> bool:
        """Accept a connection; return whether there was one."""
        before = self.nr_conns
        if not self.receives:
            super().accept(listener)
            return bool(self.nr_conns > before)
        try:
            accepted, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        connection = LoopConnection(self._head_parser, self.cfg, accepted, client, listener.getsockname())
        self.nr_conns += 1
        self._connections.add(connection)
        self._watch(connection)
        if self.nr_conns >= self.worker_connections and self.alive:
            self._close_oldest_idle(connection)
        return True

    def _close_oldest_idle(self, newest: LoopConnection | None) -> None:
        """Close connections that wait for their clients: first those that have sent nothing, the oldest first."""
        waiting = [one for one in self._connections if one.state is State.REQUEST and one is not newest]
        count = self.worker_connections // 16 + 1
        for connection in nsmallest(count, waiting, key=lambda one: (not one.is_idle, one.waits_since)):
            if not connection.has_sent_more():
                self._drop(connection)

    def _bound_unsent(self) -> None:
        """Close connections whose clients take their answers slowest, if the answers take too much memory."""
        while sum(one.unsent for one in self._connections) > _UNSENT_CAP:
            sending = [one for one in self._connections if one.state is State.CLIENT]
            if not sending:
                break
            self._drop(min(sending, key=lambda one: one.timeout))

    def _stop_accepting(self) -> None:
        _counts.remove(self.age)
        super().set_accept_enabled(False)  # a closed socket would stay in the poller
        # Who connects between the last `accept` and `close` is reset. By default another thread may take 5 ms there.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        for listener in self.sockets:
            listener.setblocking(False)
            with suppress(OSError):  # such as no more files: what was accepted is answered
                while self._accept(listener):
                    pass
            listener.close()
        sys.setswitchinterval(interval)
        at_latest = clock.monotonic() + _STOP_IDLE
        for connection in self._connections:
            connection.stop_waiting(at_latest)
        for connection in self.keepalived_conns:  # where threads receive
            connection.timeout = min(connection.timeout, at_latest)

    def _on_ready(self, connection: LoopConnection, _socket: Any) -> None:
        match connection.state:
            case State.REQUEST:
                self._handle(connection, partial(self._receive, connection))
            case State.ANSWER:
                self._unwatch(connection)
            case State.CLIENT:
                self._handle(connection, partial(self._send_rest, connection))
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
        """Wait for what the connection needs; in state ANSWER its registration is kept until the client sends."""
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

    def _close_late(self, now: float) -> None:
        for connection in [one for one in self._connections if one.is_late(now)]:
            if connection.is_idle and not self.alive:
                self._handle(connection, connection.end)
            else:
                self._drop(connection)

    def _drop(self, connection: LoopConnection) -> None:
        if connection in self._connections:
            self._unwatch(connection)
            self._connections.remove(connection)
            self._inactive -= connection.was_inactive
            self.nr_conns -= 1
            connection.close()

    def _receive(self, connection: LoopConnection) -> None:
        while connection.state is State.REQUEST and connection.receive():
            self._advance(connection)

    def _send_rest(self, connection: LoopConnection) -> None:
        """Send what the client has not taken yet of an answer, and go on with its next request."""
        connection.sock.setblocking(False)  # a thread may have waited for data
        connection.send()
        if connection.state is State.REQUEST:
            self._advance(connection)
            if not self.alive:  # the answer had been given before the worker began to stop
                connection.stop_waiting(clock.monotonic() + _STOP_IDLE)

    def _advance(self, connection: LoopConnection) -> None:
        """Answer a request, or have it answered, if enough of it has arrived."""
        arriving = connection.arriving
        if not arriving.size:
            if connection.is_at_end:
                connection.state = State.OVER
            return
        has_head = arriving.read_head()
        if not connection.is_at_end and (not has_head or self._receives_body(arriving)):
            return
        connection.state = State.ANSWER
        head = arriving.head
        if self._groups and head and head.endpoint and arriving.missing == 0:
            self._count_request()
            self._groups.add(head.endpoint, head.environ, arriving.take_body(), partial(self._send, connection))
            return
        self._unwatch(connection)
        if arriving.is_incomplete and not connection.is_at_end:
            connection.state = State.THREAD
            self._unread.append(connection)
            self._start_reading()
        else:
            self.enqueue_req(connection)

    def _start_reading(self) -> None:
        """Have threads read the rest of requests: few at a time, so that slow clients leave most threads to others."""
        while self._unread and len(self._reading) < max(self.cfg.threads // 4, 1):
            connection = self._unread.popleft()
            if connection in self._connections:  # not too late meanwhile
                connection.state = State.ANSWER
                self._reading.add(connection)
                self.enqueue_req(connection)

    def _receives_body(self, arriving: Arriving) -> bool:
        """Return whether the loop receives what is missing of a body; not if nothing is, or a thread receives it."""
        head = arriving.head
        if head is None or arriving.missing <= 0 or (head.endpoint is None and head.body_size > _BODY_CAP):
            return False
        if arriving.size > max(_BODY_CAP, arriving.granted):
            if sum(one.arriving.size for one in self._connections) > _BUFFER_CAP:
                return False
            arriving.granted = arriving.size + SEGMENT  # a client may send a body byte by byte
        return True

    def _count_request(self) -> None:
        """Count a request as gunicorn does, which may end the worker after a number of them."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _send(self, connection: LoopConnection, reply: Reply | None) -> None:
        if reply is None:
            self._drop(connection)
            return
        connection.closes = not self.alive or not self.cfg.keepalive or self._leaves_to_others(connection)
        self._handle(connection, lambda: connection.send(render(reply, closes=connection.closes)))

    def _leaves_to_others(self, connection: LoopConnection) -> bool:
        """Return whether to close a connection as one of the surplus; not if its client has already sent more."""
        has_next_request = connection.arriving.size or not connection.events
        if has_next_request or not self._surplus:
            return False
        self._surplus -= 1
        return True

    def _count_inactive(self, now: float) -> None:
        for connection in self._connections:
            connection.was_inactive = connection.waits_since <= now - _ACTIVE
        self._inactive = sum(connection.was_inactive for connection in self._connections)

    def _count_connections(self) -> Connections:
        return Connections(self.nr_conns - self._inactive, self.nr_conns)

    def _count_surplus(self) -> int:
        """Return by how many active connections this worker exceeds the mean of all; 0 if they are few."""
        # Those that are ending count no more; their clients may not have opened new ones yet.
        ending = sum(connection.state is State.END for connection in self._connections)
        own = self._count_connections().active - ending
        surplus = int(own - _counts.mean_active())
        return surplus if surplus > max(own // 16, 2) else 0

    def _publish_count(self) -> None:
        if not self._has_stopped_accepting:
            _counts.publish(self.age, self._count_connections())
