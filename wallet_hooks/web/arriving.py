"""Requests that arrive on a connection, read without blocking and judged by gunicorn's own parser.

A request that is not for the caller is handed to gunicorn's thread pool, which reads it again: in the same segments, so
that the pool sees what it would have seen if it had received them itself.
"""

import io
from collections import deque
from collections.abc import Sequence
from typing import Any

from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader, SocketUnreader

from wallet_hooks.web.requests import Environ

SEGMENT = SocketUnreader.__init__.__defaults__[0]  # bytes that gunicorn receives at once
_LONGEST_HEAD = 64 * 1024
_LONGEST_KEPT, _MOST_KEPT = 2048, 1024
_UNUSUAL = ("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE")


class Head:
    """The head of a request, as gunicorn's parser read it. Requests with the same head share one."""

    def __init__(self, request: Any, environ: Environ, size: int) -> None:
        self.method: str = request.method
        self.uri: str = request.uri
        self.environ = environ
        self.size = size  # in bytes
        # A chunked body has no length; a request without a body has length 0.
        self.body_size: int = getattr(request.body.reader, "length", 0)
        # Nothing unusual: HTTP/1.1, a Content-Length, and a connection that stays open.
        self.is_plain = (
            request.version == (1, 1)
            and not request.should_close()
            and not environ["SCRIPT_NAME"]
            and "CONTENT_LENGTH" in environ
            and not any(name in environ for name in _UNUSUAL)
        )


class HeadParser:
    """Parses heads with gunicorn's parser, and keeps the plain ones: a client repeats them from request to request."""

    def __init__(self, config: Any) -> None:
        self._config = config
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
            if head is not None and head.is_plain and head.size == len(key[0]) <= _LONGEST_KEPT:
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
        return Head(request, environ, sum(map(len, segments)) - rest)


class IncompleteHeadError(Exception):
    """More of the head has to arrive."""


class Arriving:
    """The segments of a connection that no request has used yet. `head` is None before `read_head` has found it."""

    def __init__(self, parser: HeadParser, client: Any, server: Any) -> None:
        self.segments: deque[bytes] = deque()
        self.size = 0
        self.head: Head | None = None
        self._parser, self._client, self._server = parser, client, server

    def add(self, segment: bytes) -> None:
        self.segments.append(segment)
        self.size += len(segment)

    def take(self) -> bytes | None:
        """Take the next segment, for gunicorn's parser; None if there is none."""
        self.head = None
        if not self.segments:
            return None
        segment = self.segments.popleft()
        self.size -= len(segment)
        return segment

    def take_request(self) -> Environ:
        """Take a request that has arrived completely, with nothing after it."""
        assert self.head is not None
        body = io.BytesIO(b"".join(self.segments))
        body.seek(self.head.size)
        environ = self.head.environ | {"wsgi.input": body}
        if isinstance(self._client, tuple):
            environ["REMOTE_PORT"] = str(self._client[1])
        self.segments.clear()
        self.head, self.size = None, 0
        return environ

    @property
    def missing(self) -> int:
        """The bytes of the body that have not arrived; negative if more than the request has arrived."""
        return 0 if self.head is None else self.head.size + self.head.body_size - self.size

    def read_head(self) -> bool:
        """Return whether the head has arrived: it is now in `head`, or a thread of the pool has to read it."""
        if self.head is None:
            try:
                self.head = self._parser.parse(self.segments, self._client, self._server)
            except IncompleteHeadError:
                return False
        return True


class ArrivedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads the segments that have arrived already, then from the socket."""

    def __init__(self, connection: Any, arriving: Arriving) -> None:
        super().__init__(connection)
        self._arriving = arriving

    def chunk(self) -> bytes:
        """Return the next segment, as gunicorn's parser asks for it."""
        segment = self._arriving.take()
        return super().chunk() if segment is None else segment
