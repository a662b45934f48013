"""What a request brings besides its meaning: an id, a source address, a body of acceptable size."""

import os
import re
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from werkzeug.http import parse_options_header

from wallet_hooks.web.source import Source, read_address

Environ = dict[str, Any]  # of WSGI
# What time a replay says it is, believed only where the settings say so.
TEST_CLOCK_HEADER = "X-Test-Clock"


class RejectedBodyError(Exception):
    """The body is not read: no length (411), too long (413), not JSON (415). `code` says which."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def new_request_id(now: datetime) -> str:
    """A UUID of version 7 as 32 hex digits: unique, and ordered by time."""
    random = int.from_bytes(os.urandom(10))
    high = int(now.timestamp() * 1000) << 16 | 0x7000 | random >> 68
    return f"{high:016x}{0x8 << 60 | random & 0x3FFF_FFFF_FFFF_FFFF:016x}"


def source_of(environ: Environ, *, proxy_hops: int) -> Source:
    """The caller's address, as the last of exactly `proxy_hops` trusted proxies saw it.

    With fewer entries in X-Forwarded-For than proxies someone went around them, and the address is unknown. Without
    trusted proxies the header is not believed, but it shows that the connection's end is not the caller.
    """
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    if proxy_hops == 0:
        direct = forwarded is None and "HTTP_FORWARDED" not in environ and "HTTP_X_REAL_IP" not in environ
        return Source(read_address(environ.get("REMOTE_ADDR")), direct)
    hops = forwarded.split(",") if forwarded else []
    return Source(read_address(hops[-proxy_hops]) if len(hops) >= proxy_hops else None, direct=False)


JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read_body(environ: Environ, *, cap: int, media_types: Collection[str] = (JSON,)) -> bytes:
    """The whole body. Raises RejectedBodyError: a body without a length might be cut unnoticed, so it is not read."""
    stated = environ.get("CONTENT_LENGTH", "")
    if not _LENGTH.fullmatch(stated):
        raise RejectedBodyError("length_required")
    length = int(stated)
    if length > cap:
        raise RejectedBodyError("body_too_large")
    if media_type(environ) not in media_types:
        raise RejectedBodyError("not_json")
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) != length:
        raise RejectedBodyError("length_required")
    return body


def media_type(environ: Environ) -> str | None:
    """Return the body's media type in lower case; None where it is compressed, or in another charset than UTF-8."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        return None
    return _utf8_media_type(environ.get("CONTENT_TYPE", ""))


@lru_cache(maxsize=256)
def _utf8_media_type(header: str) -> str | None:
    name, parameters = parse_options_header(header)
    return name.lower() if parameters.get("charset", "utf-8").lower() in _UTF8 else None


_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_UTF8 = ("utf-8", "utf8")
