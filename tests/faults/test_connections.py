"""Connections over sockets: the answer announces closing, and unread input is never handled as a request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import served
from tests.wire import JSON, request, wire
from tests.world import World, bet

pytestmark = pytest.mark.served


def placed(uid: int) -> bytes:
    return request(body=json.dumps({"bets": [bet(uid, "1.00")]}).encode())


@pytest.fixture
def url(world: World, tmp_path: Path) -> Iterator[str]:
    world.close_app()
    with served(world.settings.database_url, tmp_path, WALLET_HOOKS_BODY_CAP="300000") as (url, _):
        yield url


OTHER = request("/bets", json.dumps({"bets": [bet(666, "1.00")]}).encode())
BIG = OTHER + b" " * (200_000 - len(OTHER))  # a body that is itself a valid request
TOO_BIG = OTHER + b" " * (400_000 - len(OTHER))


CHUNKED = b"POST /bets HTTP/1.1\r\nHost: test\r\n%sTransfer-Encoding: chunked\r\n\r\n" % JSON
TEXT = b"Content-Type: text/plain\r\n"
UNREAD = [
    (request(body=BIG, headers=TEXT), 415),
    (request(body=TOO_BIG), 413),
    (request("/v1/customers/", BIG), 401),
    (request("/v1/sessions/", BIG), 413),
    (request("/v1/sessions/", BIG[:60_000], headers=TEXT), 415),
    (request("/gateway/limits/v1/player/limits/1007", BIG, method=b"PUT"), 401),
    (request("/finance/exports/journal.csv", BIG, method=b"GET"), 401),
    (request("/nowhere", BIG), 404),
    (request("/bets", BIG, method=b"PUT"), 405),
    (request("/healthz", BIG, method=b"GET"), 200),
    (CHUNKED + b"5\r\nabcde\r\n", 411),
    (CHUNKED + b"1\r\na\r\n0\r\n\r\n", 411),
    (CHUNKED + b"1\r\na\r\n0\r\n\r\n" + OTHER, 411),
]


def test_a_connection_with_an_unread_body_is_closed_and_announced(url: str, world: World) -> None:
    for sent, status in UNREAD:
        with wire(url) as client:
            client.send(sent)
            assert client.answer()[:2] == (status, "close"), sent[:80]
            assert client.is_closed(), sent[:80]
    assert world.count("wager") == 0


def test_a_client_that_waits_for_100_continue_gets_the_answer(url: str) -> None:
    with wire(url) as client:
        client.send(b"POST /bets HTTP/1.1\r\nHost: test\r\n%sExpect: 100-continue\r\n" % JSON)
        client.send(b"Content-Length: 9000000\r\n\r\n")
        client.skip_continue()
        assert client.answer()[:2] == (413, "close")
        assert client.is_closed()


def test_a_pipelined_second_request_is_not_answered(url: str, world: World) -> None:
    with wire(url) as client:
        client.send(placed(1), placed(2))
        assert client.answer() == (200, "close", b'{"status":"OK"}')
        assert client.is_closed()
    with wire(url) as client:
        client.send(request("/healthz", method=b"GET", headers=b""), placed(2))
        assert client.answer()[:2] == (200, "close")
        assert client.is_closed()
    assert world.count("wager") == 1


def test_an_incomplete_pipelined_request_closes_the_connection(url: str) -> None:
    with wire(url) as client:
        client.send(placed(1), b"POST /be")
        assert client.answer()[:2] == (200, "close")
        assert client.is_closed()


def test_sequential_requests_share_a_connection(url: str, world: World) -> None:
    with wire(url) as client:
        for uid in range(3):
            client.send(placed(uid))
            assert client.answer()[:2] == (200, "keep-alive")
        # An unread body that was received completely, in the segment of its headers, is discarded.
        client.send(request("/v1/customers/", b"{}"))
        assert client.answer()[:2] == (401, "keep-alive")
        client.send(request(body=b"{}", headers=b"Content-Type: text/plain\r\n"))
        assert client.answer()[:2] == (415, "keep-alive")
        client.send(placed(3))
        assert client.answer()[:2] == (200, "keep-alive")
    assert world.count("wager") == 4


def test_a_client_can_request_closing(url: str) -> None:
    with wire(url) as client:
        client.send(request("/healthz", method=b"GET", headers=b"Connection: close\r\n"))
        assert client.answer()[:2] == (200, "close")
        assert client.is_closed()
