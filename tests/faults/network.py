"""A network between the service and PostgreSQL that can fail in chosen ways: a proxy before the servers' sockets."""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

_CHUNK = 65_536
_COMMITTED = b"COMMIT\0"  # the tag of the server's answer


class Network:
    """A proxy on TCP ports of 127.0.0.1, one for each server. The attributes may be changed while it runs.

    `delay` is the time in seconds that every byte takes, each way. While `is_silent`, nothing passes, but connections
    stay and are accepted. `commits_to_lose` is how many times a connection is cut when the server answers that it has
    committed; the answer is lost.
    """

    def __init__(self, *server_sockets: str) -> None:
        self.delay = 0.0
        self.is_silent = False
        self.commits_to_lose = 0
        self._listeners = {socket.create_server(("127.0.0.1", 0)): server for server in server_sockets}
        self._links: set[_Link] = set()
        self._is_cut = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_over = False
        self._selector = selectors.DefaultSelector()
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port of the first server."""
        return self._ports[0]

    @property
    def _ports(self) -> list[int]:
        return [int(listener.getsockname()[1]) for listener in self._listeners]

    def url(self, database: str) -> str:
        """Whichever server accepts writes."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        several = "?target_session_attrs=read-write" if len(self._listeners) > 1 else ""
        return f"postgresql://postgres@{hosts}/{quote(database)}{several}"

    @contextmanager
    def silent(self) -> Iterator[None]:
        self.is_silent = True
        yield
        self.is_silent = False

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End all connections, and every new one at once."""
        self._is_cut = True
        yield
        self._is_cut = False

    def serve_from(self, server_socket: str) -> None:
        """Lead to this server alone from now on; connections to the others stay."""
        self._listeners = dict.fromkeys(self._listeners, server_socket)

    def close(self) -> None:
        self._is_over = True
        self._thread.join(10)
        for link in list(self._links):
            self._drop(link)
        self._selector.close()
        for listener in self._listeners:
            listener.close()

    def _run(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(0.002):
                if isinstance(key.fileobj, socket.socket) and key.fileobj in self._listeners:
                    self._accept(key.fileobj)
                elif not self.is_silent:
                    self._pass_on(key.data)
            if self.is_silent:
                time.sleep(0.01)
                continue
            for link in list(self._links):
                if self._is_cut or not link.deliver(self.delay):
                    self._drop(link)

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._listeners[listener])
        except OSError:
            client.close()
            server.close()
            return
        link = _Link(client, server)
        self._links.add(link)
        for end in (client, server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 2**20)
            self._selector.register(end, selectors.EVENT_READ, (link, end))

    def _pass_on(self, found: "tuple[_Link, socket.socket]") -> None:
        link, end = found
        try:
            received = end.recv(_CHUNK)
        except OSError:  # reset, as by a process that was killed
            received = b""
        if self.commits_to_lose and end is link.server and _COMMITTED in received:
            self.commits_to_lose -= 1
            received = b""
        link.pending.append((time.monotonic(), end, received))
        if not received:
            self._selector.unregister(end)

    def _drop(self, link: "_Link") -> None:
        self._links.discard(link)
        for end in (link.client, link.server):
            with suppress(KeyError):
                self._selector.unregister(end)
            end.close()


class _Link:
    """A client's connection and its way to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.pending: deque[tuple[float, socket.socket, bytes]] = deque()

    def deliver(self, delay: float) -> bool:
        """Deliver what has been on its way for long enough; return False at the end of the connection."""
        while self.pending and time.monotonic() - self.pending[0][0] >= delay:
            _, end, received = self.pending.popleft()
            if not received:
                return False
            try:
                (self.server if end is self.client else self.client).sendall(received)
            except OSError:
                return False
        return True


@contextmanager
def network(*server_sockets: str) -> Iterator[Network]:
    """Run a proxy before the Unix sockets of servers."""
    one = Network(*server_sockets)
    try:
        yield one
    finally:
        one.close()
