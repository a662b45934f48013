"""An API's reply as the bytes of an HTTP/1.1 answer, the same that Flask and gunicorn would send."""

from functools import lru_cache

from gunicorn.http.wsgi import SERVER
from gunicorn.util import http_date
from werkzeug.http import HTTP_STATUS_CODES

from wallet_hooks import clock
from wallet_hooks.web.api import Reply


def render(reply: Reply, *, closes: bool) -> bytes:
    """Return the answer's head and body; the reply's body must be a string. `closes`: the connection ends with it."""
    assert isinstance(reply.body, str)
    body = reply.body.encode()
    head = _head(reply.status, closes, clock.wall_seconds())
    fields = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    return f"{head}{fields}Content-Type: {reply.content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@lru_cache(maxsize=64)
def _head(status: int, closes: bool, second: int) -> str:
    connection = "close" if closes else "keep-alive"
    line = f"HTTP/1.1 {status} {HTTP_STATUS_CODES[status].upper()}"
    return f"{line}\r\nServer: {SERVER}\r\nDate: {http_date(second)}\r\nConnection: {connection}\r\n"
