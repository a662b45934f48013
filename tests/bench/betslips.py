"""Betslip messages: pmm messages a second, and what idle streams of customers cost the callbacks."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

from tests.bench import load
from tests.bench.load import Measured
from wallet_hooks import clock
from wallet_hooks.database import open_engine, writing
from wallet_hooks.identity import login_sessions
from wallet_hooks.settings import Settings

PER_REQUEST = 100
_BETSLIPS = 1000
_ACCOUNTS = 5
_PATH = "/betslips/messages"


def announce(address: str) -> None:
    """Announce betslips, each of a customer of its own."""
    load.send(address, _PATH, (_array("betslip", betslips) for betslips in _chunks(_BETSLIPS // PER_REQUEST)))


def messages(address: str, requests: int) -> Measured:
    """Send arrays of pmm messages; return requests a second."""
    bodies = [_array("pmm", betslips) for betslips in _chunks(requests)]
    return load.send(address, _PATH, bodies, connections=8)


def _chunks(count: int) -> Iterator[range]:
    return load.chunks(0, count, PER_REQUEST)


def _array(type_: str, numbers: range) -> bytes:
    return json.dumps(
        [[type_, _betslip(number) if type_ == "betslip" else _pmm(number)] for number in numbers]
    ).encode()


def _betslip(number: int) -> dict[str, object]:
    return {"betslip_id": f"{number % _BETSLIPS:032}", "sport": "fb", "customer_username": f"c{number + 1}"}


def _pmm(number: int) -> dict[str, object]:
    """Return a message as large as the document's example."""
    offer = {"price": 2.16, "max": ["EUR", 278.57 + number % 7], "min": ["EUR", 2.0]}
    return {
        "betslip_id": f"{number % _BETSLIPS:032}",
        "sport": "fb",
        "event_id": "2016-10-26,245,234",
        "bookie": "bf",
        "username": f"_40a78ed{number // _BETSLIPS % _ACCOUNTS}_",
        "bet_type": "for,h",
        "status": {"code": "success"},
        "price_list": [{"bookie": offer, "effective": offer}] * 2,
    }


@contextmanager
def idle_streams(url: str, address: str, count: int) -> Iterator[None]:
    """Hold streams of as many customers, which read nothing while the block runs."""
    engine = open_engine(Settings(database_url=url))
    with writing(engine) as session:
        now, idle = clock.now(), timedelta(days=1)
        tokens = [
            login_sessions.start(session, customer_id=id_, source="", now=now, idle=idle) for id_ in range(1, count + 1)
        ]
    engine.dispose()
    with ExitStack() as streams:
        for token in tokens:
            streams.enter_context(_open_stream(address, token))
        yield


def _open_stream(address: str, token: str) -> socket.socket:
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port or 80))
    lines = [
        f"GET /v1/stream/?token={token} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = connection.recv(4096)
    if b" 101 " not in answer:
        raise SystemExit(f"no stream was opened: {answer!r}")
    return connection
