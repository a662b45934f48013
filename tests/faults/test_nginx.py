"""`deploy/nginx.conf` with traffic: which requests reach the second machine, and what its logs hold."""

import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.service import free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx.conf"
pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")


class LostMachine(threading.Thread):
    """Takes each request, and closes its connection without an answer."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.requests: list[str] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.requests.append(connection.recv(65536).decode().partition("\r\n")[0])


class Proxy:
    """nginx before two machines, with its logs."""

    def __init__(self, port: int, directory: Path, machines: list[LostMachine]) -> None:
        self.port = port
        self.machines = machines
        self._directory = directory

    def reached(self, method: str, path: str) -> list[str]:
        """Send a request, and return the request lines that machines got."""
        for machine in self.machines:
            machine.requests.clear()
        assert self.status(method, path) == 502
        return [line for machine in self.machines for line in machine.requests]

    def status(self, method: str, path: str) -> int:
        return self.send(method, path)[0]

    def send(self, method: str, path: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request(method, path, b"{}")
            response = client.getresponse()
            return response.status, response.read()

    def logs(self) -> str:
        return "".join(file.read_text() for file in self._directory.glob("*.log"))


@contextmanager
def proxied(directory: Path) -> Iterator[Proxy]:
    """Run nginx with the repository's configuration; without TLS, on other ports, and for machines that never fail."""
    port, machines = free_port(), [LostMachine(), LostMachine()]
    text = CONFIGURATION.read_text(encoding="utf-8")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    text = re.sub(r"ssl_certificate\S* .*\n", "", text)
    text = text.replace("allow 10.0.0.0/8;", "allow 127.0.0.1;").replace("max_fails=1 fail_timeout=2s", "max_fails=0")
    text = text.replace("/var/log/nginx", str(directory))
    for address, machine in zip(("10.0.0.11:8000", "10.0.0.12:8000"), machines, strict=True):
        text = text.replace(address, f"127.0.0.1:{machine.port}")
        machine.start()
    paths = " ".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = directory / "nginx.conf"
    file.write_text(f"pid {directory}/pid; daemon off; events {{}}\nhttp {{\n{paths}\n{text}\n}}\n")
    nginx = subprocess.Popen(["nginx", "-c", str(file), "-e", str(directory / "error.log")])
    try:
        _wait_for(port)
        yield Proxy(port, directory, machines)
    finally:
        nginx.terminate()
        nginx.wait(30)
        for machine in machines:
            machine.listener.close()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx did not start")


def test_only_what_is_idempotent_is_repeated_on_another_machine(tmp_path: Path) -> None:
    with proxied(tmp_path) as proxy:
        for path in ("/bets", "/bets/cancel", "/winners/", "/betslips/messages"):
            assert len(proxy.reached("POST", path)) == 2, path
        assert len(proxy.reached("GET", "/v1/accounts/")) == 2
        for path in (
            "/exchange/account/json-rpc/v1/",
            "/exchange/account/rest/v1.0/transferFunds/",
            "/console/days/close",
            "/v1/sessions/",
            "/v1/limits/",
        ):
            assert len(proxy.reached("POST", path)) == 1, path


def test_no_log_holds_the_token_of_a_login(tmp_path: Path) -> None:
    with proxied(tmp_path) as proxy:
        proxy.reached("GET", "/v1/stream/?token=secret-token")
        proxy.reached("GET", "/v1/stream?token=secret-token")
        proxy.reached("DELETE", "/v1/sessions/secret-token/")
        proxy.reached("GET", "/v1/accounts/?page=2")
    logs = proxy.logs()
    assert "GET /v1/stream/ 502" in logs
    assert "DELETE /v1/sessions/- 502" in logs
    assert "GET /v1/accounts/ 502" in logs
    assert "upstream prematurely closed" in logs, "of the other paths"
    assert "secret-token" not in logs


def test_a_flood_of_logins_is_refused_before_the_service(tmp_path: Path) -> None:
    with proxied(tmp_path) as proxy:
        for path, refused in (("/v1/sessions/", 429), ("/api/login?password=secret-token", 200)):
            statuses = [proxy.status("POST", path) for _ in range(60)]
            assert statuses[0] in {refused, 502}
            assert statuses.count(refused) > 20, path
        answers = (proxy.send("POST", "/api/login") for _ in range(60))  # one of them each 200 ms is let through
        body = next(body for status, body in answers if status == 200)
        assert json.loads(body)["error"] == "TEMPORARY_BAN_TOO_MANY_REQUESTS", "as clients expect it"
        assert proxy.status("POST", "/bets") == 502
    assert "secret-token" not in proxy.logs()
