"""Requests that arrive on a connection, read without blocking and judged by gunicorn's own parser.

A request that is not for the caller is handed to gunicorn's thread pool, which reads it again: in the same segments, so
that the pool sees what it would have seen if it had received them itself.
"""

import io
from collections import deque
from typing import Any, NamedTuple

from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader, SocketUnreader

from wallet_hooks.web.requests import Environ

SEGMENT = SocketUnreader.__init__.__defaults__[0]  # bytes that gunicorn receives at once
_LONGEST_HEAD = 64 * 1024
_UNUSUAL = ("HTTP_TRANSFER_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE")


class Head(NamedTuple):
    """The head of a request, as gunicorn's parser read it; `size` is its length in bytes."""

    request: Any
    environ: Environ
    size: int

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing unusual: HTTP/1.1, a Content-Length, and a connection that stays open."""
        return (
            self.request.version == (1, 1)
            and not self.request.should_close()
            and not self.environ["SCRIPT_NAME"]
            and "CONTENT_LENGTH" in self.environ
            and not any(name in self.environ for name in _UNUSUAL)
        )

    @property
    def body_size(self) -> int:
        """The bytes of the body that the head announces; 0 for a chunked body."""
        return getattr(self.request.body.reader, "length", 0)


class Arriving:
    """The segments of a connection that no request has used yet. `head` is None before `read_head` has found it."""

    def __init__(self, config: Any, client: Any, server: Any) -> None:
        self.segments: deque[bytes] = deque()
        self.size = 0
        self.head: Head | None = None
        self._config, self._client, self._server = config, client, server

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
        environ = self.head.environ
        environ["wsgi.input"] = body = io.BytesIO(b"".join(self.segments))
        body.seek(self.head.size)
        self.segments.clear()
        self.head, self.size = None, 0
        return environ

    @property
    def missing(self) -> int:
        """The bytes of the body that have not arrived; negative if more than the request has arrived."""
        return 0 if self.head is None else self.head.size + self.head.body_size - self.size

    def read_head(self) -> bool:
        """Return whether the head can be judged: it is now in `head`, or gunicorn would reject it."""
        if self.head is not None:
            return True
        unreader = IterUnreader(iter(list(self.segments)))
        try:
            request = Request(self._config, unreader, self._client)
        except (NoMoreData, StopIteration):
            return self.size > _LONGEST_HEAD
        except ParseException:  # a thread of the pool meets it again, and answers it
            return True
        if not request._expected_100_continue:
            rest = unreader.buf.getbuffer().nbytes + sum(map(len, unreader.iter or ()))
            _, environ = wsgi.create(request, None, self._client, self._server, self._config)
            self.head = Head(request, environ, self.size - rest)
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
