"""Unread bytes of a connection, with gunicorn's own parser."""

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

from wallet_hooks.web.connections import GunicornRequest, announce_closing, has_unread_bytes

WITH_BODY = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
BARE = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def parsed(*segments: bytes) -> GunicornRequest:
    request: GunicornRequest = next(RequestParser(Config(), iter(segments), ("127.0.0.1", 1)))
    return request


@pytest.mark.parametrize(
    ("segments", "is_read", "expected"),
    [
        ([BARE], False, False),
        ([BARE, BARE], False, False),  # the next request comes in its own segment
        ([BARE + BARE], False, True),
        ([BARE + b"G"], False, True),
        ([WITH_BODY + b"12345"], False, False),
        ([WITH_BODY + b"12345"], True, False),
        ([WITH_BODY + b"1234"], False, True),
        ([WITH_BODY, b"12345"], False, True),
        ([WITH_BODY, b"12345"], True, False),
        ([WITH_BODY + b"12345" + BARE], False, True),
        ([WITH_BODY + b"12345" + BARE], True, True),
        ([WITH_BODY, b"12345" + BARE], True, True),
        ([CHUNKED + b"1\r\na\r\n0\r\n\r\n"], False, True),
        ([CHUNKED + b"1\r\na\r\n0\r\n\r\n"], True, False),
        ([CHUNKED + b"1\r\na\r\n0\r\n\r\n" + BARE], True, True),
    ],
)
def test_unread_bytes_close_the_connection(segments: list[bytes], is_read: bool, expected: bool) -> None:
    request = parsed(*segments)
    announce_closing(request, lambda: True)
    if is_read:
        request.body.read()
    assert has_unread_bytes(request) is expected
    assert request.should_close() is expected


def test_a_stopping_worker_closes_its_connections() -> None:
    request = parsed(BARE)
    announce_closing(request, lambda: False)
    assert request.should_close()


def test_a_client_can_request_closing() -> None:
    request = parsed(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    announce_closing(request, lambda: True)
    assert request.should_close()
