"""What a request brings besides its meaning: an id, a source address, a body of acceptable size."""

import os
from datetime import datetime

from flask import Request

from wallet_hooks.web.source import Source, read_address


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


def source_of(request: Request, *, proxy_hops: int) -> Source:
    """The caller's address, as the last of exactly `proxy_hops` trusted proxies saw it.

    With fewer entries in X-Forwarded-For than proxies someone went around them, and the address is unknown. Without
    trusted proxies the header is not believed, but it shows that the connection's end is not the caller.
    """
    forwarded = request.headers.get("X-Forwarded-For")
    if proxy_hops == 0:
        direct = forwarded is None and "Forwarded" not in request.headers and "X-Real-Ip" not in request.headers
        return Source(read_address(request.remote_addr), direct)
    hops = forwarded.split(",") if forwarded else []
    return Source(read_address(hops[-proxy_hops].strip()) if len(hops) >= proxy_hops else None, direct=False)


def read_body(request: Request, *, cap: int) -> bytes:
    """The whole body. Raises RejectedBodyError: a body without a length might be cut unnoticed, so it is not read."""
    length = request.content_length
    if length is None:
        raise RejectedBodyError("length_required")
    if length > cap:
        raise RejectedBodyError("body_too_large")
    if request.mimetype != "application/json" or request.content_encoding not in (None, "", "identity"):
        raise RejectedBodyError("not_json")
    body = request.get_data(cache=False)
    if len(body) != length:
        raise RejectedBodyError("length_required")
    return body
