"""Requests that arrive on a connection, read without blocking and parsed by gunicorn's own parser.

A request that the loop does not answer itself is handed to gunicorn's thread pool, which reads it again: in the same
segments, so that the pool sees what it would have seen if it had received them itself.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader, SocketUnreader

from wallet_hooks import clock
from wallet_hooks.web.api import Endpoint, GroupedApi
from wallet_hooks.web.requests import Environ, RejectedBodyError, body_length

SEGMENT = SocketUnreader.__init__.__defaults__[0]  # bytes that gunicorn receives in one call
_LONGEST_HEAD = 64 * 1024
_SLOWEST = 64 * 1024  # bytes a second that a long body must arrive with
_SHORTEST_WAIT = 0.001  # seconds; 0 would mean not to block
_LONGEST_KEPT, _MOST_KEPT = 2048, 1024  # bytes of a head that is kept when parsed, and how many are
_UNUSUAL = ("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE")


class Head(NamedTuple):
    """The head of a request, as gunicorn's parser read it. Requests with the same head share one.

    `size` is its length in bytes, `body_size` that of the body that it announces; 0 for a chunked one. `endpoint` is
    the endpoint of a grouped API that is to read the body, None for any other request.
    """

    environ: Environ
    size: int
    body_size: int
    endpoint: Endpoint | None


class HeadParser:
    """Parses heads with gunicorn's parser, and keeps those of calls: a client repeats them from request to request.

    The calls are those to a grouped API whose heads have nothing unusual.
    """

    def __init__(self, config: Any, grouped: GroupedApi | None) -> None:
        self._config = config
        self._grouped = grouped
        self._known: dict[tuple[bytes, Any], Head] = {}

    def parse(self, segments: Sequence[bytes], client: Any, server: Any) -> Head | None:
        """Return the head of a request, None if a thread of the pool has to read it.

        `client` and `server` are the socket's addresses. Raises IncompleteHeadError if it has not arrived completely.
        """
        first = segments[0]
        key = first[: first.find(b"\r\n\r\n") + 4], client[0] if isinstance(client, tuple) else client
        head = self._known.get(key)
        if head is None:
            head = self._parse(segments, client, server)
            if head is not None and head.endpoint is not None and head.size == len(key[0]) <= _LONGEST_KEPT:
                if len(self._known) >= _MOST_KEPT:
                    self._known.clear()
                self._known[key] = head
        return head

    def _parse(self, segments: Sequence[bytes], client: Any, server: Any) -> Head | None:
        unreader = IterUnreader(iter(segments))
        try:
            request = Request(self._config, unreader, client)
            if request._expected_100_continue:
                return None
            _, environ = wsgi.create(request, None, client, server, self._config)
        except (NoMoreData, StopIteration):
            size = sum(map(len, segments))
            if size > _LONGEST_HEAD:
                return None
            raise IncompleteHeadError from None
        except ParseException:  # a thread of the pool meets it again, and answers it
            return None
        rest = unreader.buf.getbuffer().nbytes + sum(map(len, unreader.iter or ()))
        size, body_size = sum(map(len, segments)) - rest, getattr(request.body.reader, "length", 0)
        # Nothing that holds the segments: a head that is kept would keep the bodies of its connection.
        environ = {name: value for name, value in environ.items() if isinstance(value, str)}
        return Head(environ, size, body_size, self._endpoint(request, environ))

    def _endpoint(self, request: Any, environ: Environ) -> Endpoint | None:
        endpoint = None if self._grouped is None else self._grouped.endpoints.get(request.uri)
        if self._grouped is None or endpoint is None or not _is_plain(request, environ):
            return None
        try:
            body_length(environ, cap=self._grouped.settings.body_cap)
        except RejectedBodyError:
            return None
        return endpoint if endpoint.method == request.method else None


def _is_plain(request: Any, environ: Environ) -> bool:
    """Return whether a head has nothing unusual: HTTP/1.1, a Content-Length, and a connection that stays open."""
    return (
        request.version == (1, 1)
        and not request.should_close()
        and not environ["SCRIPT_NAME"]
        and "CONTENT_LENGTH" in environ
        and not any(name in environ for name in _UNUSUAL)
    )


class IncompleteHeadError(Exception):
    """More of the head has to arrive."""


class Arriving:
    """The segments of a connection that no request has used yet. `head` is None before `read_head` has found it.

    `size` is their length in bytes, and `granted` how many may arrive before the worker counts those of all connections
    again.
    """

    def __init__(self, parser: HeadParser, client: Any, server: Any) -> None:
        self.segments: deque[bytes] = deque()
        self.size = 0
        self._parser, self._client, self._server = parser, client, server
        self._begin()

    def _begin(self) -> None:
        """Begin with the next request."""
        self.head: Head | None = None
        self.granted = 0
        self._parse_at = 0  # the size from which an incomplete head is parsed again

    def add(self, segment: bytes) -> None:
        self.segments.append(segment)
        self.size += len(segment)
        if b"\n" in segment:
            self._parse_at = 0

    def take(self) -> bytes | None:
        """Take the next segment, for gunicorn's parser; None if there is none."""
        self._begin()
        if not self.segments:
            return None
        segment = self.segments.popleft()
        self.size -= len(segment)
        return segment

    def take_body(self) -> bytes:
        """Take a request that has arrived completely, with nothing after it; return its body."""
        assert self.head is not None
        body = b"".join(self.segments)[self.head.size :]
        self.segments.clear()
        self.size = 0
        self._begin()
        return body

    @property
    def is_incomplete(self) -> bool:
        """Whether a thread may have to wait for the rest of the request that it is to read."""
        return self.head is None or self.missing > 0 or "HTTP_TRANSFER_ENCODING" in self.head.environ

    @property
    def missing(self) -> int:
        """The bytes of the body that have not arrived; negative if more than the request has arrived."""
        return 0 if self.head is None else self.head.size + self.head.body_size - self.size

    def read_head(self) -> bool:
        """Return whether the head has arrived: it is now in `head`, or a thread of the pool has to read it.

        An incomplete head is parsed again once another line or as many bytes again have arrived: a client that sends it
        byte by byte costs little more than others.
        """
        if self.head is None:
            if self.size < self._parse_at:
                return False
            self._join_segments()
            try:
                self.head = self._parser.parse(self.segments, self._client, self._server)
            except IncompleteHeadError:
                self._parse_at = 2 * self.size
                return False
        return True

    def _join_segments(self) -> None:
        """Join segments to as few as could have been received.

        Not the first, whose errors gunicorn's parser in C finds earlier than those of others, nor the last, with which
        a head may end.
        """
        if len(self.segments) > 3:
            first, *others, last = self.segments
            joined = b"".join(others)
            pieces = (joined[start : start + SEGMENT] for start in range(0, len(joined), SEGMENT))
            self.segments = deque([first, *pieces, last])


class ArrivedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads the segments that have arrived already, then from the socket.

    `until` is the monotonic instant until which the client may send; each received byte defers it a little.
    """

    def __init__(self, connection: Any, arriving: Arriving) -> None:
        super().__init__(connection)
        self._arriving = arriving
        self.until = math.inf

    def chunk(self) -> bytes:
        """Return the next segment, as gunicorn's parser asks for it. Raises TimeoutError for a client that is late."""
        segment = self._arriving.take()
        if segment is not None:
            return segment
        time_out = self.sock.gettimeout()
        self.sock.settimeout(max(self.until - clock.monotonic(), _SHORTEST_WAIT))
        try:
            received: bytes = super().chunk()
        finally:
            self.sock.settimeout(time_out)
        self.until += len(received) / _SLOWEST
        return received
