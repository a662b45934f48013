"""A trading platform's stream: a real WebSocket server that repeats, drops and stalls."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, Request, TextMessage

# Serves one connection, the first one having number 0; when it returns, the connection is dropped.
Script = Callable[["Platform", ServerConnection, int], None]


class Platform:
    """Serves connections by a script, and counts them."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.url = ""
        self.stopping = threading.Event()

    def serve_connection(self, connection: ServerConnection) -> None:
        number, self.connections = self.connections, self.connections + 1
        with suppress(ConnectionClosed):  # the client has gone
            self._script(self, connection, number)
        connection.socket.shutdown(socket.SHUT_RDWR)  # without a closing handshake

    def send(self, connection: ServerConnection, first: int, last: int) -> None:
        """Send frames with these numbers, each announcing a betslip of its own."""
        for number in range(first, last):
            connection.send(json.dumps(frame(number)))


def frame(number: int) -> dict[str, Any]:
    return {"ts": 1477526400 + number, "data": [["betslip", {"betslip_id": f"b{number}"}], ["sync", {"token": "x"}]]}


@contextmanager
def silent_platform() -> Iterator[tuple[str, list[socket.socket]]]:
    """Serve a platform that stalls: it answers no handshake, or sends one frame and then answers no ping.

    Yields its URL and the connections.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def serve_silently() -> None:
            with suppress(OSError):  # the listener is shut down at the end
                while True:
                    accepted.append(listener.accept()[0])
                    if len(accepted) % 2 == 0:
                        _answer_handshake(accepted[-1], frame(len(accepted)))

        thread = threading.Thread(target=serve_silently)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/", accepted
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in accepted:
            connection.close()


def _answer_handshake(connection: socket.socket, first: dict[str, Any]) -> None:
    protocol = WSConnection(ConnectionType.SERVER)
    protocol.receive_data(connection.recv(65_536))
    assert isinstance(next(protocol.events()), Request)
    connection.sendall(protocol.send(AcceptConnection()) + protocol.send(TextMessage(data=json.dumps(first))))


@contextmanager
def platform(script: Script) -> Iterator[Platform]:
    """Run the server in a thread."""
    running = Platform(script)
    with serve(running.serve_connection, "127.0.0.1", 0) as server:
        running.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stream?token=secret"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            running.stopping.set()
            server.shutdown()
            thread.join()
