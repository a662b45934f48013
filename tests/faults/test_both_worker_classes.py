"""The service's worker class and gthread answer the same bytes, whatever a client sends and however it is cut."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import Templates
from tests.service import served
from tests.wire import request, wire
from tests.worker_classes import OWN

pytestmark = pytest.mark.served

# The order of methods in an Allow header depends on the hash seed.
_SETTINGS = {"PYTHONHASHSEED": "0", "WALLET_HOOKS_BODY_CAP": "12000"}
Send = Callable[[Sequence[bytes], float], bytes]

BET = (
    b'{"bets":[{"user":{"client":"acme","uid":7},"bet":{"uid":%d,"amount":"1.00"},'
    b'"pool":{"client":"acme","currency":"EUR","game":"betflex","uid":1}}]}'
)
RESULT = (
    b'{"pools":[{"pool":{"client":"x","game":"betflex"},"bets":[{"user":{"client":"acme","uid":7},'
    b'"bet":{"uid":%d,"currency":"EUR","payout":"2.00"}}]}]}'
)
bodies = st.one_of(
    st.builds(lambda uid: BET % uid, st.integers(1, 9)),
    st.builds(lambda uid: RESULT % uid, st.integers(1, 9)),
    st.sampled_from([b"", b"{}", b"{", b'{"bets":[]}', b"x" * 9000, BET % 1 + b" " * 9000, b"x" * 13_000]),
)
paths = st.sampled_from(
    [b"/bets"] * 6
    + [b"/winners", b"/bets/cancel", b"/bets/", b"/bets?a=1", b"/bets#a", b"//bets", b"/be%74s", b"/BETS", b"*"]
    + [b"http://test/bets", b"/healthz", b"/v1/customers/", b"/v1/sessions/", b"/nowhere", b"bets", b""]
)
methods = st.sampled_from([b"POST"] * 8 + [b"GET", b"PUT", b"HEAD", b"OPTIONS", b"post", b"PO ST", b"CONNECT", b""])
versions = st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1 ", b""])
# Each is added to a request, or replaces the header of its name.
headers = st.lists(
    st.sampled_from(
        [
            b"Content-Type: text/plain",
            b"Content-Type: application/json; charset=latin-1",
            b"Content-Type: application/json",
            b"Content-Length: 5",
            b"Content-Length: 0",
            b"Content-Length: -1",
            b"Content-Length: +5",
            b"Content-Length: 1_0",
            b"Content-Length: 99999999999",
            b"Content-Length:",
            b"Content-Length: \xb2",
            b"Transfer-Encoding: chunked",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer_Encoding: chunked",
            b"Connection: close",
            b"Connection: keep-alive",
            b"Connection: Upgrade",
            b"Connection: ",
            b"Upgrade: h2c",
            b"Upgrade: websocket",
            b"Expect: 100-continue",
            b"Expect: nothing",
            b"Content-Encoding: gzip",
            b"Host: other",
            b"Script-Name: /bets",
            b"SCRIPT_NAME: /bets",
            b"X-Forwarded-For: 203.0.113.9",
            b"X-Forwarded-Proto: https",
            b"X Y: 1",
            b" folded: 1",
            b"X-Null: \x00",
            b"X-Long: " + b"x" * 9000,
            b"no colon",
            b": no name",
            b"X-Signature: abc",
            b"Authorization: Bearer a b c",
        ]
    ),
    max_size=3,
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A request with some oddities, and a few of its bytes changed, or something behind it."""
    body = draw(bodies)
    lines = [b"Host: test", b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
    for line in draw(headers):
        if draw(st.booleans()):
            lines = [one for one in lines if one.partition(b":")[0] != line.partition(b":")[0]]
        lines.append(line)
    first = b"%s %s %s" % (draw(methods), draw(paths), draw(versions))
    end = draw(st.sampled_from([b"\r\n"] * 20 + [b"\n", b"\r", b"\r\n "]))
    message = end.join([first, *lines]) + end + draw(st.sampled_from([end] * 9 + [b""])) + body
    if draw(st.integers(0, 3)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            place = draw(st.integers(0, min(len(message), 400)))
            message = message[:place] + draw(st.binary(max_size=2)) + message[place + draw(st.integers(0, 2)) :]
    return message + draw(st.sampled_from([b""] * 6 + [b"\r\n", b"G", request("/healthz", method=b"GET"), message]))


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """A message in the parts in which it is sent."""
    message = draw(messages())
    places = draw(st.lists(st.one_of(st.integers(1, 300), st.integers(1, max(len(message), 1))), max_size=2))
    edges = [0, *sorted({place for place in places if place < len(message)}), len(message)]
    return [message[start:end] for start, end in pairwise(edges)]


@pytest.fixture(scope="module")
def senders(templates: Templates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Send, Send]]:
    """Send to a service of each class; SQLite alone, because the database is not what differs."""

    def sender(url: str) -> Send:
        def send(parts: Sequence[bytes], pause: float) -> bytes:
            with wire(url) as client:
                for part in parts:
                    client.send(part)
                    time.sleep(pause)
                client.end()
                return without_times(client.rest())

        return send

    directories = [tmp_path_factory.mktemp(name) for name in ("own", "gthread")]
    urls = [templates.copy("sqlite", "world", directory / "world.db")[0] for directory in directories]
    with (
        served(urls[0], directories[0], worker_class=OWN, settings=_SETTINGS) as (own, _),
        served(urls[1], directories[1], worker_class="gthread", settings=_SETTINGS) as (other, _),
    ):
        yield sender(own), sender(other)


def without_times(answers: bytes) -> bytes:
    """Remove what differs from answer to answer."""
    return re.sub(rb"(?m)^(Date|X-Request-Id): .*\r$", rb"\1", answers)


def test_both_answer_the_same(senders: tuple[Send, Send]) -> None:
    check(senders, examples=250)


@pytest.mark.slow
def test_both_answer_the_same_to_many(senders: tuple[Send, Send]) -> None:
    check(senders, examples=4000)


def check(senders: tuple[Send, Send], *, examples: int) -> None:
    @settings(max_examples=examples)
    @given(streams())
    @example([b"P", b"OST /bets HTTP/2.0\r\nHost: test\r\n" + b"x" * 9000 + b"\r\n"])
    def run(parts: list[bytes]) -> None:
        # What a server does with a body that it does not read depends on what has arrived with the head. On a busy
        # machine parts may arrive together, so another answer counts only if it stays when they are sent slowly.
        for pause in (0.002, 0.05, 0.3):
            own, other = (send(parts, pause if len(parts) > 1 else 0) for send in senders)
            if own == other:
                return
        assert own == other

    run()
