"""The thread that serves the streams of a worker process.

A request that opens a stream gives its socket to this thread and ends, so that streams hold none of the threads that
take bets. The thread waits for all its sockets, and reads what is new for all of them together, four times a
second. Numbers of messages are stored, so any worker of any machine can serve any stream.
"""

import atexit
import resource
import selectors
import socket
import threading
from collections import Counter, deque

from wallet_hooks import clock
from wallet_hooks.betslips.customer_feed import CustomerStream, Feed
from wallet_hooks.database import DATABASE_ERRORS
from wallet_hooks.errors import TryAgainError
from wallet_hooks.logs import LOG
from wallet_hooks.telemetry import STREAMS_CLOSED, STREAMS_OPENED
from wallet_hooks.web.websocket import GOING_AWAY, POLICY_VIOLATION, WebSocket

SESSION_ENDED = 4001
_POLL_INTERVAL = 0.25  # seconds
_SESSION_CHECK_INTERVAL = 1.0
_PING_INTERVAL = 20.0
_IDLE_TIMEOUT = 60.0  # without any input, although pings ask for it, and without any output taken
_WRITE_TIMEOUT = 10.0  # without any output taken, although some waits
_CLOSE_TIMEOUT = 5.0
_PAUSE_AFTER_DEFECT = 1.0
_MAX_PENDING = 256 * 1024  # bytes that wait for a client, from which on nothing more is read from the database for it
_MAX_PER_CUSTOMER = 20
_MAX_SHARE_OF_FILES = 0.25  # of the files that the process may open
_CHUNK = 4096


class Streams:
    """The streams of this process: about `most` at most, of which one customer has about 20 at most."""

    def __init__(self, feed: Feed, *, most: int) -> None:
        self._feed = feed
        self._most = most
        self._accepted: deque[tuple[socket.socket, CustomerStream]] = deque()
        self._served: dict[WebSocket, CustomerStream] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._polled_at = self._checked_at = self._pinged_at = 0.0
        self._is_database_lost = False

    def check_capacity(self, customer_id: int) -> None:
        """Raise TryAgainError if this process has too many streams, or too many of the customer."""
        waiting = [stream for _, stream in list(self._accepted)]
        counts = Counter(one.customer_id for one in [*list(self._served.values()), *waiting])
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = min(self._most, int(files * _MAX_SHARE_OF_FILES))
        if counts.total() >= most or counts[customer_id] >= _MAX_PER_CUSTOMER:
            raise TryAgainError("too many streams are open")

    def serve(self, connection: socket.socket, stream: CustomerStream) -> None:
        """Serve a connection, whose handshake is done, from now on."""
        self._accepted.append((connection, stream))
        with self._lock:
            if self._thread is None:
                self._start()
        self._wake.send(b"x")

    def stop(self) -> None:
        """Close all streams because the process ends; their clients connect to another one."""
        self._is_stopping = True
        atexit.unregister(self.stop)
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._wake.send(b"x")
            thread.join(_CLOSE_TIMEOUT)
            self._wake.close()
            self._woken.close()

    def _start(self) -> None:
        """Start the thread: with the first stream, because a worker process is forked from its master."""
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._pinged_at = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                self._run_once()
            except Exception as error:
                # A defect must not end the streams of all customers.
                LOG.error("stream_defect", exc_info=error)
                self._polled_at = clock.monotonic() + _PAUSE_AFTER_DEFECT
        self._begin_accepted()
        now = clock.monotonic()
        for websocket in list(self._served):
            websocket.close(GOING_AWAY, "the server is stopping", now=now)
            self._discard(websocket)
        self._selector.close()

    def _run_once(self) -> None:
        """Run one iteration: wait for events, then handle them."""
        pause = max(self._polled_at + _POLL_INTERVAL - clock.monotonic(), 0) if self._served else None
        for key, _ in self._selector.select(pause):
            if key.data is None:
                self._woken.recv(_CHUNK)
            else:
                self._exchange(key.data)
        self._begin_accepted()
        now = clock.monotonic()
        if now >= self._polled_at + _POLL_INTERVAL:
            self._polled_at = now
            self._poll(now)
            for websocket in list(self._served):
                self._end_overdue(websocket, now)
                self._wait_for(websocket, may_read=True)

    def _exchange(self, websocket: WebSocket) -> None:
        """Read from a socket, and write what waits; a connection that causes a defect is discarded.

        It is read again after the next poll only, so that a client that sends a lot costs the bets little.
        """
        now = clock.monotonic()
        try:
            websocket.receive(now=now)
            websocket.flush(now=now)
            self._wait_for(websocket, may_read=False)
        except Exception:
            self._discard(websocket)
            raise

    def _begin_accepted(self) -> None:
        while self._accepted:
            connection, stream = self._accepted.popleft()
            websocket = WebSocket(connection, now=clock.monotonic())
            self._served[websocket] = stream
            self._selector.register(websocket.socket, selectors.EVENT_READ, websocket)
            STREAMS_OPENED.inc()
            self._polled_at = 0.0

    def _poll(self, now: float) -> None:
        """End streams whose sessions ended, send what is new, and ping the clients."""
        lost: Exception | None = None
        for step in (self._end_sessions, self._begin_streams, self._send_new_frames):
            try:
                step(now)
            except DATABASE_ERRORS as error:
                lost = error
        if lost is not None and not self._is_database_lost:
            LOG.warning("stream_database_lost", error=type(lost).__name__)
        self._is_database_lost = lost is not None
        if now >= self._pinged_at + _PING_INTERVAL:
            self._pinged_at = now
            for websocket in self._open():
                websocket.ping(now=now)

    def _begin_streams(self, _: float) -> None:
        new = [stream for one in self._open() if (stream := self._served[one]).seq is None]
        if new:
            self._feed.begin(new)

    def _send_new_frames(self, now: float) -> None:
        """Send what is new to all clients that took what was sent before."""
        begun = {stream: one for one in self._open() if (stream := self._served[one]).seq is not None}
        ready = {stream: one for stream, one in begun.items() if one.pending < _MAX_PENDING}
        if ready:
            frames = self._feed.next_frames(list(ready), now=clock.now())
            for stream, texts in frames.items():
                ready[stream].send(texts, now=now)
                if stream.has_more:
                    self._polled_at = 0.0

    def _end_sessions(self, now: float) -> None:
        if now < self._checked_at + _SESSION_CHECK_INTERVAL:
            return
        self._checked_at = now
        served = {self._served[websocket]: websocket for websocket in self._open()}
        for stream in self._feed.ended(list(served), now=clock.now()):
            served[stream].close(SESSION_ENDED, "the session has ended", now=now)

    def _end_overdue(self, websocket: WebSocket, now: float) -> None:
        """Close a connection whose client reads too slowly or is silent, and discard one that does not close."""
        if websocket.closed_at is not None:
            websocket.is_over = websocket.is_over or now >= websocket.closed_at + _CLOSE_TIMEOUT
        elif websocket.wants_write and now >= websocket.written_at + _WRITE_TIMEOUT:
            websocket.close(POLICY_VIOLATION, "the client reads too slowly", now=now)
        elif now >= websocket.active_at + _IDLE_TIMEOUT:
            websocket.close(POLICY_VIOLATION, "the client does not answer pings", now=now)

    def _open(self) -> list[WebSocket]:
        return [websocket for websocket in self._served if websocket.is_open]

    def _wait_for(self, websocket: WebSocket, *, may_read: bool) -> None:
        """Discard a connection that is over; else wait for what it waits for."""
        if websocket.is_over:
            self._discard(websocket)
            return
        events = (selectors.EVENT_READ if may_read else 0) | (selectors.EVENT_WRITE if websocket.wants_write else 0)
        known = self._selector.get_map()
        if not events:
            self._selector.unregister(websocket.socket)
        elif websocket.socket not in known:
            self._selector.register(websocket.socket, events, websocket)
        elif known[websocket.socket].events != events:
            self._selector.modify(websocket.socket, events, websocket)

    def _discard(self, websocket: WebSocket) -> None:
        if websocket in self._served:
            del self._served[websocket]
            if websocket.socket in self._selector.get_map():
                self._selector.unregister(websocket.socket)
            websocket.socket.close()
            STREAMS_CLOSED.labels(websocket.close_code or "client").inc()
