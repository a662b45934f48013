"""Clients of customers' streams: of the whole service, and of the stream thread alone."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.sync.client import ClientConnection, connect
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

Frame = dict[str, Any]


class Peer:
    """The client's end of a stream whose handshake is done."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(10)
        self._protocol = Connection(ConnectionType.CLIENT)
        self._text = ""
        self.answers_pings = True
        self.close_code: int | None = None

    def frame(self) -> Frame | None:
        """Return the next frame; None once the stream has ended."""
        while True:
            for event in self._protocol.events():
                if isinstance(event, Ping) and self.answers_pings:
                    with suppress(OSError):  # the server has closed meanwhile
                        self.send(event.response())
                elif isinstance(event, CloseConnection):
                    self.close_code = event.code
                    return None
                elif isinstance(event, TextMessage):
                    self._text += event.data
                    if event.message_finished:
                        text, self._text = self._text, ""
                        return dict(json.loads(text))
            self._protocol.receive_data(self.socket.recv(65_536) or None)

    def frames(self, count: int) -> list[Frame]:
        """Return the next frames, which must be as many."""
        found = [self.frame() for _ in range(count)]
        assert None not in found, self.close_code
        return [frame for frame in found if frame is not None]

    def send(self, event: Event) -> None:
        self.socket.sendall(self._protocol.send(event))


def money_in(frame: Frame | None) -> tuple[Any, Any]:
    """Return balance and open stake of a frame with a balance message."""
    assert frame is not None
    ((type_, body),) = frame["data"]
    assert type_ == "balance", frame
    return body["balance"], body["open_stake"]


def stream_url(url: str, token: str, since: int | None = None) -> str:
    """Return the address of a session's stream."""
    return f"{url.replace('http', 'ws', 1)}/v1/stream/?token={token}" + ("" if since is None else f"&since={since}")


@contextmanager
def connected(url: str, token: str, since: int | None = None) -> Iterator[ClientConnection]:
    """Connect to a session's stream by a client that others wrote."""
    with connect(stream_url(url, token, since), compression=None, proxy=None, close_timeout=0.5) as connection:
        yield connection


def next_frame(connection: ClientConnection) -> Frame:
    return dict(json.loads(connection.recv(timeout=10)))
