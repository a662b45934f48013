"""The thread that serves the streams of a worker process.

A request that opens a stream gives its socket to this thread and ends, so that streams hold none of the threads that
take bets. The thread waits for all its sockets at once, and reads what is new for all of them by one query, four times
a second. Numbers of messages are stored, so any worker of any machine can serve any stream.
"""

import atexit
import selectors
import socket
import threading
from collections import Counter, deque

from wallet_hooks import clock
from wallet_hooks.betslips.feed import PAGE, Feed, Subscription
from wallet_hooks.database import DATABASE_ERRORS
from wallet_hooks.errors import TryAgainError
from wallet_hooks.telemetry import LOG, STREAMS_CLOSED, STREAMS_OPENED
from wallet_hooks.web.websocket import GOING_AWAY, POLICY_VIOLATION, WebSocket

SESSION_ENDED = 4001
_POLL = 0.25  # seconds
_CHECK_SESSIONS = 1.0
_PING = 20.0
_SILENCE = 60.0  # without any input, although pings ask for it
_PATIENCE = 10.0  # without any output taken, although some waits
_CLOSING = 5.0
_ENOUGH = 256 * 1024  # bytes that wait for a reader, from which on nothing more is read for it
_AFTER_DEFECT = 1.0
_MOST_OF_A_CUSTOMER = 20
_CHUNK = 4096


class Streams:
    """The streams of this process: at most `most`, of which one customer has at most 20."""

    def __init__(self, feed: Feed, *, most: int) -> None:
        self._feed = feed
        self._most = most
        self._adopted: deque[tuple[socket.socket, Subscription]] = deque()
        self._served: dict[WebSocket, Subscription] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._polled_at = self._checked_at = self._pinged_at = 0.0
        self._is_database_lost = False

    def check_room(self, customer_id: int) -> None:
        """Raise TryAgainError if this process has too many streams, or too many of the customer."""
        waiting = [subscription for _, subscription in list(self._adopted)]
        counts = Counter(one.customer_id for one in [*list(self._served.values()), *waiting])
        if counts.total() >= self._most or counts[customer_id] >= _MOST_OF_A_CUSTOMER:
            raise TryAgainError("too many streams are open")

    def adopt(self, connection: socket.socket, subscription: Subscription) -> None:
        """Serve a connection from now on; its handshake is done."""
        self._adopted.append((connection, subscription))
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
            thread.join(_CLOSING)
            self._wake.close()

    def _start(self) -> None:
        """Start the thread: with the first stream, because a worker process is forked from its master."""
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._selector.register(woken, selectors.EVENT_READ)
        self._pinged_at = clock.monotonic()
        self._thread = threading.Thread(target=self._run, args=(woken,), name="streams", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self, woken: socket.socket) -> None:
        while not self._is_stopping:
            try:
                self._turn(woken)
            except Exception as error:
                # A defect must not end the streams of all customers.
                LOG.error("stream_defect", exc_info=error)
                self._polled_at = clock.monotonic() + _AFTER_DEFECT
        self._begin_adopted()
        now = clock.monotonic()
        for websocket in list(self._served):
            websocket.close(GOING_AWAY, "the server is stopping", now=now)
            self._discard(websocket)
        self._selector.close()
        woken.close()

    def _turn(self, woken: socket.socket) -> None:
        """Wait until something is to be done, and do it."""
        pause = max(self._polled_at + _POLL - clock.monotonic(), 0) if self._served else None
        for key, _ in self._selector.select(pause):
            if key.data is None:
                woken.recv(_CHUNK)
            else:
                self._exchange(key.data)
        self._begin_adopted()
        now = clock.monotonic()
        if now >= self._polled_at + _POLL:
            self._polled_at = now
            self._poll(now)
            for websocket in list(self._served):
                self._end_overdue(websocket, now)
                self._settle(websocket)

    def _exchange(self, websocket: WebSocket) -> None:
        """Read from a socket, and write what waits; a connection that causes a defect is discarded."""
        now = clock.monotonic()
        try:
            websocket.receive(now=now)
            websocket.flush(now=now)
            self._settle(websocket)
        except Exception:
            self._discard(websocket)
            raise

    def _begin_adopted(self) -> None:
        while self._adopted:
            connection, subscription = self._adopted.popleft()
            websocket = WebSocket(connection, now=clock.monotonic())
            self._served[websocket] = subscription
            self._selector.register(websocket.socket, selectors.EVENT_READ, websocket)
            STREAMS_OPENED.inc()
            self._polled_at = 0.0

    def _poll(self, now: float) -> None:
        """Send what is new, end streams whose sessions ended, and ask the clients whether they are there."""
        try:
            self._send_news(now)
            if now >= self._checked_at + _CHECK_SESSIONS:
                self._checked_at = now
                self._end_sessions(now)
            self._is_database_lost = False
        except DATABASE_ERRORS as error:
            if not self._is_database_lost:
                LOG.warning("stream_database_lost", error=type(error).__name__)
            self._is_database_lost = True
        if now >= self._pinged_at + _PING:
            self._pinged_at = now
            for websocket in self._open():
                websocket.ping(now=now)

    def _send_news(self, now: float) -> None:
        """Send what is new to all readers that took what was sent before."""
        readers = {self._served[one]: one for one in self._open() if one.pending < _ENOUGH}
        for subscription in readers:
            if not subscription.is_begun:
                self._feed.begin(subscription)
        if readers:
            frames = self._feed.read(list(readers), now=clock.now())
            for subscription, texts in frames.items():
                readers[subscription].send(texts, now=now)
                if len(texts) >= PAGE:
                    self._polled_at = 0.0  # there may be more

    def _end_sessions(self, now: float) -> None:
        served = {self._served[websocket]: websocket for websocket in self._open()}
        for subscription in self._feed.ended(list(served), now=clock.now()):
            served[subscription].close(SESSION_ENDED, "the session has ended", now=now)

    def _end_overdue(self, websocket: WebSocket, now: float) -> None:
        """Close a connection whose client reads too slowly or is silent, and discard one that does not close."""
        if websocket.closed_at is not None:
            websocket.is_over = websocket.is_over or now >= websocket.closed_at + _CLOSING
        elif websocket.wants_write and now >= websocket.progress_at + _PATIENCE:
            websocket.close(POLICY_VIOLATION, "the client reads too slowly", now=now)
        elif now >= websocket.heard_at + _SILENCE:
            websocket.close(POLICY_VIOLATION, "the client does not answer pings", now=now)

    def _open(self) -> list[WebSocket]:
        return [websocket for websocket in self._served if websocket.is_open]

    def _settle(self, websocket: WebSocket) -> None:
        """Discard a connection that is over; else wait for what it waits for."""
        if websocket.is_over:
            self._discard(websocket)
            return
        events = selectors.EVENT_READ if websocket.pending < _ENOUGH else 0
        events |= selectors.EVENT_WRITE if websocket.wants_write else 0
        if self._selector.get_key(websocket.socket).events != events:
            self._selector.modify(websocket.socket, events, websocket)

    def _discard(self, websocket: WebSocket) -> None:
        if websocket in self._served:
            del self._served[websocket]
            self._selector.unregister(websocket.socket)
            websocket.socket.close()
            STREAMS_CLOSED.labels(websocket.close_code or 1006).inc()
