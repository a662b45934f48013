"""Requests that arrive in parts, however small."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.web.api import Endpoint
from wallet_hooks.web.arriving import SEGMENT, Arriving, Head, HeadParser
from wallet_hooks.web.loop_connection import LoopConnection
from wallet_hooks.worker import CallbackWorker

BODY = b"{}   "
HEAD = b"POST /bets HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n"
CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.0.0.1", 8080)


class CountingParser(HeadParser):
    """Counts how often it is called, and with how many segments."""

    def __init__(self) -> None:
        super().__init__(Config(), None)
        self.calls = self.segments = 0

    def parse(self, segments: Sequence[bytes], client: Any, server: Any) -> Head | None:
        self.calls += 1
        self.segments += len(segments)
        return super().parse(segments, client, server)


@given(st.lists(st.integers(1, len(HEAD + BODY) - 1), max_size=8))
def test_a_head_has_arrived_with_its_last_byte_however_it_is_cut(places: list[int]) -> None:
    arriving = Arriving(CountingParser(), CLIENT, SERVER)
    for start, end in pairwise([0, *sorted(set(places)), len(HEAD + BODY)]):
        arriving.add((HEAD + BODY)[start:end])
        assert arriving.read_head() == (end >= len(HEAD))
    assert arriving.head is not None
    assert (arriving.head.size, arriving.missing) == (len(HEAD), 0)
    assert arriving.head.environ["CONTENT_TYPE"] == "application/json"
    assert arriving.take_body() == BODY


def test_a_head_that_arrives_byte_by_byte_is_parsed_a_few_times() -> None:
    parser = CountingParser()
    arriving = Arriving(parser, CLIENT, SERVER)
    long_lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 6000) for number in range(9))
    head = HEAD.replace(b"\r\n\r\n", b"\r\n" + long_lines + b"\r\n")
    for place in range(len(head)):
        arriving.add(head[place : place + 1])
        assert arriving.read_head() == (place == len(head) - 1)
    assert arriving.head is not None
    assert arriving.head.size == len(head)
    lines, doublings = head.count(b"\n"), len(head).bit_length()
    assert parser.calls <= lines + doublings
    assert parser.segments <= 10 * parser.calls


class CountedConnections(set[LoopConnection]):
    """Counts how often all connections are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[LoopConnection]:
        self.looks += 1
        return super().__iter__()


def test_a_body_that_arrives_byte_by_byte_costs_no_look_at_all_connections_for_each_byte() -> None:
    worker = CallbackWorker.__new__(CallbackWorker)
    worker._connections = connections = CountedConnections()
    arriving = Arriving(CountingParser(), CLIENT, SERVER)
    arriving.head = Head({}, 100, 200_000, Endpoint("POST", "/bets", "/bets", lambda: None))
    arriving.add(bytes(70_000))
    for _ in range(2 * SEGMENT):
        arriving.add(b" ")
        assert worker._receives_body(arriving)
    assert 1 <= connections.looks <= 3
