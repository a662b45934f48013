"""A simulated bookmaker for tests and the demo, with the API that the adapter `http-json` uses."""

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Simulator(ThreadingHTTPServer):
    """Serves balances (currency and decimal string by username). With a `secret`, requests need it as Bearer token.

    `balances` and `pause`, the seconds to wait before each byte of an answer, may change while it runs. Port 0 takes
    a free port (see `server_port`).
    """

    daemon_threads = True

    def __init__(self, port: int, balances: Mapping[str, tuple[str, str]], *, secret: str | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.balances = dict(balances)
        self.secret = secret
        self.pause = 0.0


class _Handler(BaseHTTPRequestHandler):
    server: Simulator

    def do_GET(self) -> None:
        match self.path.split("/"):
            case ["", "accounts", username, "balance"]:
                self._send_balance(unquote(username))
            case _:
                self._send(404, {"error": "not found"})

    def _send_balance(self, username: str) -> None:
        if self.server.secret is not None and self.headers.get("Authorization") != f"Bearer {self.server.secret}":
            self._send(401, {"error": "unauthenticated"})
        elif username not in self.server.balances:
            self._send(404, {"error": "unknown account"})
        else:
            currency, balance = self.server.balances[username]
            self._send(200, {"currency": currency, "balance": balance})

    def _send(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.pause:
            self._send_slowly(body)
        else:
            self.wfile.write(body)

    def _send_slowly(self, body: bytes) -> None:
        try:
            for byte in body:
                time.sleep(self.server.pause)
                self.wfile.write(bytes([byte]))
        except OSError:
            self.close_connection = True  # the client closed the connection

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing: clients see the answers."""
