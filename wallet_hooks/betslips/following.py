"""Follow the platform's stream: take its messages from a WebSocket, and connect again whenever that is lost.

A frame counts as taken once it is committed, and the next ones are read only then. What the platform sends while no
connection is open is lost unless it sends it again; messages that come twice leave the same state.
"""

import logging
import random
from collections.abc import Collection, Iterator
from threading import Event
from typing import NamedTuple

from sqlalchemy import Engine
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from wallet_hooks import clock
from wallet_hooks.betslips.intake import MESSAGES_PATH, Body, ParsedBody, is_stored, parse_body, parts_of, store_bodies
from wallet_hooks.database import DATABASE_ERRORS, Fault, fault_of, run_with_retries
from wallet_hooks.logs import LOG
from wallet_hooks.telemetry import FOLLOW_CONNECTIONS, FOLLOW_LAG, FOLLOW_MESSAGES, FOLLOW_UNREADABLE
from wallet_hooks.web.causes import log_defect
from wallet_hooks.web.requests import new_request_id

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds
_WAIT = 0.5  # how often a stop is noticed while nothing arrives
_LARGEST_FRAME = 16 * 1024 * 1024  # bytes
_MOST_MESSAGES = 100_000  # of a frame
# The library would print tracebacks beside the log's lines of JSON.
_UNLOGGED = logging.getLogger("wallet_hooks.betslips.websockets")
_UNLOGGED.disabled = True
_BATCH_FRAMES, _BATCH_BYTES = 100, 1024 * 1024  # that are taken together
# Messages that share a commit, each counted for each game: it takes a second or two then.
_MOST_AT_ONCE = 10_000


class StreamTimeOuts(NamedTuple):
    """Seconds: for the handshake, between pings, and for their answers."""

    opening: float = 10
    ping: float = 20
    pong: float = 60


def is_stream_url(url: str) -> bool:
    """Return whether a URL is one of a WebSocket."""
    try:
        parse_uri(url)
    except (InvalidURI, ValueError):
        return False
    return True


class Follower:
    """Takes the messages of a stream for brand ids and games, until `stopping` is set."""

    def __init__(
        self,
        engine: Engine,
        url: str,
        scopes: Collection[tuple[int, str]],
        stopping: Event,
        *,
        time_outs: StreamTimeOuts = StreamTimeOuts(),  # noqa: B008 - a constant
    ) -> None:
        self._engine = engine
        self._url = url
        self._scopes = scopes
        self._stopping = stopping
        self._time_outs = time_outs

    def run(self) -> None:
        """Follow the stream. Lost connections are opened again, at first soon, later after longer random pauses."""
        failures = 0
        while not self._stopping.is_set():
            started = clock.monotonic()
            has_stored = self._follow_connection()
            failures = 0 if has_stored or clock.monotonic() - started > _LONGEST_PAUSE else failures + 1
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
            self._stopping.wait(random.uniform(longest / 2, longest))  # noqa: S311 - only spreads clients

    def _follow_connection(self) -> bool:
        """Take messages until the connection ends. Return whether any was stored."""
        has_stored = False
        try:
            with connect(
                self._url,
                open_timeout=self._time_outs.opening,
                ping_interval=self._time_outs.ping,
                ping_timeout=self._time_outs.pong,
                close_timeout=1,
                max_size=_LARGEST_FRAME,
                logger=_UNLOGGED,
            ) as connection:
                FOLLOW_CONNECTIONS.labels("opened").inc()
                LOG.info("betslip_stream_opened")
                for bodies in self._batches(connection):
                    has_stored = self._take(bodies) or has_stored
        except Exception as error:
            if not isinstance(error, WebSocketException | OSError):  # such as a redirection to no address
                log_defect(error, request_id="", path=MESSAGES_PATH)
            FOLLOW_CONNECTIONS.labels("lost").inc()
            LOG.warning("betslip_stream_lost", error=type(error).__name__, code=_code_of(error))
        return has_stored

    def _batches(self, connection: ClientConnection) -> Iterator[list[Body]]:
        """Yield the frames that have arrived, at most a batch; wait for the first. Ends when the follower stops."""
        while not self._stopping.is_set():
            frames: list[Body] = []
            lost: ConnectionClosed | None = None
            try:
                while len(frames) < _BATCH_FRAMES and sum(len(one.content) for one in frames) < _BATCH_BYTES:
                    frames.append(_body(connection.recv(timeout=0 if frames else _WAIT)))
            except TimeoutError:
                pass  # nothing more has arrived
            except ConnectionClosed as error:
                lost = error
            if frames:
                yield frames
            if lost is not None:
                raise lost

    def _take(self, bodies: list[Body]) -> bool:
        """Store frames, and count them. Return whether one that can be read was stored."""
        parts = parts_of(map(_read, bodies), max(_MOST_AT_ONCE // len(self._scopes), 1))
        stored = [one for part in parts for one in self._store(part)]
        for one in stored:
            FOLLOW_MESSAGES.labels("taken").inc(len(one.messages))
            FOLLOW_MESSAGES.labels("bad").inc(len(one.answer.get("messages", ())))
            if one.messages and (ts := one.messages[0].ts) is not None:
                FOLLOW_LAG.observe(max(clock.now().timestamp() - float(ts), 0))
        if stored:
            frames = sum(not one.is_rest for one in stored)
            LOG.info("betslip_frames_taken", frames=frames, messages=sum(len(one.messages) for one in stored))
        return any(one.is_readable for one in stored)

    def _store(self, taken: list[ParsedBody]) -> list[ParsedBody]:
        """Store frames, again and again while the database is not available. Return those that are stored."""
        pause = _FIRST_PAUSE
        while taken and not self._stopping.is_set():
            try:
                run_with_retries(lambda: store_bodies(self._engine, taken, self._scopes))
            except Exception as error:
                fault = fault_of(error)
                if fault is Fault.DUPLICATE and self._is_committed(taken):
                    return taken
                if fault is Fault.OTHER:
                    return self._store_one_by_one(taken, error)
                LOG.warning("betslip_frames_wait", fault=fault.value, delivery=taken[0].body.id)
            else:
                return taken
            self._stopping.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        return []

    def _is_committed(self, taken: list[ParsedBody]) -> bool:
        """Return whether an attempt stored the frames whose answer was lost. False while that cannot be known."""
        delivery = next((one.body.id for one in taken if not one.is_rest), None)
        try:
            return delivery is not None and is_stored(self._engine, delivery)
        except DATABASE_ERRORS:
            return False

    def _store_one_by_one(self, taken: list[ParsedBody], error: Exception) -> list[ParsedBody]:
        """Store each frame alone after a defect, so that only the one that causes it is left out."""
        if len(taken) > 1:
            return [stored for one in taken for stored in self._store([one])]
        log_defect(error, request_id=taken[0].body.id, path=MESSAGES_PATH)
        FOLLOW_MESSAGES.labels("failed").inc(len(taken[0].messages))
        return []


def _body(frame: str | bytes) -> Body:
    now = clock.now()
    content = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    return Body(new_request_id(now), now, "", content, clock.monotonic())


def _read(body: Body) -> ParsedBody:
    parsed = parse_body(body, most=_MOST_MESSAGES)
    if not parsed.is_readable:
        FOLLOW_UNREADABLE.inc()
        LOG.warning("betslip_frame_unreadable", delivery=body.id, fields=parsed.answer["fields"])
    return parsed


def _code_of(error: Exception) -> int | None:
    """Return the status that refused the handshake, or the code with which the platform closed."""
    if isinstance(error, InvalidStatus):
        return error.response.status_code
    return error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd is not None else None
