"""Reads a request's id, source address and body, for every API."""

import os
import random
import re
from collections.abc import Collection
from datetime import datetime
from functools import lru_cache
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from wallet_hooks.web.source import Source, read_source

Environ = dict[str, Any]  # of WSGI
# The time that a replay sets; ignored unless WALLET_HOOKS_DEBUG and WALLET_HOOKS_TEST_CLOCK are set.
TEST_CLOCK_HEADER = "X-Test-Clock"


# Not the generator of `random` itself, which others may seed; ids must be unique, not secret.
_generator = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_generator.seed)


class RejectedBodyError(Exception):
    """The body is rejected; `code` is `length_required` (411), `body_too_large` (413) or `not_json` (415)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def new_request_id(now: datetime) -> str:
    """Return a UUID of version 7 as 32 hex digits: unique, and ordered by time."""
    milliseconds, high, low = int(now.timestamp() * 1000), _generator.getrandbits(12), _generator.getrandbits(62)
    return f"{milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low:032x}"


def bearer_token(headers: Headers) -> str | None:
    """Return the token of `Authorization: Bearer <token>`; None without such a header."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


_OF_PROXIES = {"HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP"} | {
    f"HTTP_X_FORWARDED_{name}" for name in ("FOR", "HOST", "PORT", "PROTO", "SERVER")
}


def source_of(environ: Environ, *, proxy_hops: int) -> Source:
    """Return the caller's address as the outermost of exactly `proxy_hops` trusted proxies saw it.

    If X-Forwarded-For has fewer entries than there are proxies, a proxy was bypassed and the address is unknown.
    Without trusted proxies the header's address is ignored, but any header that proxies add means that the request is
    not direct.
    """
    if proxy_hops == 0:
        return read_source(environ.get("REMOTE_ADDR"), direct=_OF_PROXIES.isdisjoint(environ))
    forwarded = environ.get("HTTP_X_FORWARDED_FOR")
    hops = forwarded.split(",") if forwarded else []
    return read_source(hops[-proxy_hops] if len(hops) >= proxy_hops else None, direct=False)


JSON = "application/json"


def read_body(environ: Environ, *, cap: int, media_types: Collection[str] = (JSON,), lenient: bool = False) -> bytes:
    """Return the body, at most `cap` bytes. Raises RejectedBodyError, also without a length: it could be truncated.

    With `lenient`, a chunked body is read too, if the server marks its end (`wsgi.input_terminated`), a request without
    a body is read as an empty one, a missing media type is the first of `media_types`, and the media type's parameters
    are ignored, its charset too.
    """
    if lenient:
        stated = environ.get("CONTENT_TYPE", "").partition(";")[0]
        environ = {**environ, "CONTENT_TYPE": stated or next(iter(media_types))}
        if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            return _read_chunked(environ, cap=cap, media_types=media_types)
        if _has_no_body(environ):
            _check_media_type(environ, media_types)
            return b""
    length = body_length(environ, cap=cap, media_types=media_types)
    body = _read(environ, length)
    if len(body) != length:
        raise RejectedBodyError("length_required")
    return body


def body_length(environ: Environ, *, cap: int, media_types: Collection[str] = (JSON,)) -> int:
    """Return the length of a body that is to be read, in bytes, at most `cap`. Raises RejectedBodyError."""
    stated = environ.get("CONTENT_LENGTH", "")
    if not _LENGTH.fullmatch(stated):
        raise RejectedBodyError("length_required")
    length = int(stated)
    if length > cap:
        raise RejectedBodyError("body_too_large")
    _check_media_type(environ, media_types)
    return length


def _has_no_body(environ: Environ) -> bool:
    """Return whether the body's length is 0, or neither stated nor marked by chunks (RFC 9112, section 6.3)."""
    return "HTTP_TRANSFER_ENCODING" not in environ and environ.get("CONTENT_LENGTH", "") in ("", "0")


def _check_media_type(environ: Environ, media_types: Collection[str]) -> None:
    if media_type(environ) not in media_types:
        raise RejectedBodyError("not_json")


def _read_chunked(environ: Environ, *, cap: int, media_types: Collection[str]) -> bytes:
    _check_media_type(environ, media_types)
    body = _read(environ, cap + 1)
    if len(body) > cap:
        raise RejectedBodyError("body_too_large")
    return body


def _read(environ: Environ, size: int) -> bytes:
    """Return the body or its first bytes."""
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except OSError:  # a chunk is malformed, the client was too slow, or the connection was closed
        raise RejectedBodyError("length_required") from None
    return body


def media_type(environ: Environ) -> str | None:
    """Return the body's media type in lower case, or None if it is compressed or its charset is not UTF-8."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        return None
    return _utf8_media_type(environ.get("CONTENT_TYPE", ""))


@lru_cache(maxsize=256)
def _utf8_media_type(header: str) -> str | None:
    name, parameters = parse_options_header(header)
    return name.lower() if parameters.get("charset", "utf-8").lower() in _UTF8 else None


_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_UTF8 = ("utf-8", "utf8")
