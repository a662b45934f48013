"""Secrets that a run uses are in no log, export, capture or listing, whatever fails."""

import base64
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from sqlalchemy import text

from tests.desk import Desk
from tests.service import served, status_of, workers_of
from tests.test_commands import Shell
from tests.world import World, bet, result
from wallet_hooks.database import writing
from wallet_hooks.finance.reports import REPORTS

pytestmark = pytest.mark.served

MARK = "n0t-f0r-y0u"  # is in every secret


def call(url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> int:
    return status_of(f"{url}{path}", method, body, headers)


def post_form(url: str, path: str, fields: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=30)) as connection:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode(fields), headers)
        answer = connection.getresponse()
        answer.read()
    return answer.status


def use_secrets(url: str) -> None:
    """Send secrets in every place that takes one, right and wrong."""
    pair = base64.b64encode(f"acme:{MARK}".encode()).decode()
    assert call(url, "POST", "/bets", {"bets": [bet(1)]}, {"Authorization": f"Basic {pair}"}) == 200
    assert call(url, "POST", "/winners", {"pools": [result(1)]}, {"Authorization": f"Basic {pair}"}) == 200
    wrong = {"Authorization": f"Bearer {MARK}", "webhook-signature": f"v1,{MARK}", "X-Signature": MARK}
    assert call(url, "POST", "/bets", {"bets": [bet(2)]}, wrong) == 401
    login = {"username": "zoe", "password": f"{MARK}-password"}
    assert call(url, "POST", "/v1/sessions/", login) == 200
    assert call(url, "POST", "/v1/sessions/", login | {"password": f"{MARK}-wrong"}) in {400, 401}
    for path in (f"/v1/sessions/{MARK}/", f"/v1/stream/?token={MARK}", f"/v1/customers/?token={MARK}"):
        assert call(url, "GET", path, headers={"Session": MARK, "x-auth-token": MARK}) < 500
    assert call(url, "GET", "/finance/exports/journal.csv", headers={"Authorization": f"Bearer {MARK}"}) == 401
    rest = "/exchange/account/rest/v1.0/getAccountFunds/"
    assert call(url, "POST", rest, {}, {"X-Authentication": MARK, "X-Application": MARK}) < 500
    form = {"username": "maria", "password": f"{MARK}-staff1", "code": MARK}
    assert post_form(url, "/console/login", form) == 303
    assert post_form(url, "/console/login", form | {"password": f"{MARK}-wrong"}) == 401
    assert post_form(url, "/api/login", login) == 200
    for cookie in (MARK, f"wallet_hooks_console={MARK}"):
        assert call(url, "GET", "/console/", headers={"Cookie": cookie}) == 303
    token = {"client_id": "1", "grant_type": "AUTHORIZATION_CODE", "code": MARK, "client_secret": MARK}
    assert call(url, "POST", "/exchange/account/rest/v1.0/token/", token, {"X-Application": MARK}) < 500


def test_no_output_has_a_secret(desk: Desk, tmp_path: Path) -> None:
    world = desk.world
    world.provider(game="other", auth="basic", secrets=["env:NO_SUCH_SECRET"])
    world.close_app()
    database = world.settings.database_url.replace("postgres@", f"postgres:{MARK}@")  # the server does not ask for it
    secret = tmp_path / "secret"
    secret.write_text(f"acme:{MARK}")
    with writing(world.engine) as session:
        session.execute(text("DELETE FROM provider WHERE game = 'betflex'"))
    shell = Shell(database)
    provider = ("--game", "betflex", "--brand", "acme", "--auth", "basic")
    shell.ok("provider", "add", *provider, "--secret", f"file:{secret}")
    customer = ("--brand", "acme", "--uid", "99", "--username", "zoe", "--currency", "EUR", "--role", "customer")
    shell.ok("customer", "create", *customer, "--password-stdin", stdin=f"{MARK}-password\n")
    staff = ("--username", "maria", "--role", "operations")
    shell.ok("staff", "add", *staff, "--password-stdin", stdin=f"{MARK}-staff1\n")
    printed = shell.ok("token", "create", "--role", "finance", "--name", "audit").split()[-1]
    with served(database, tmp_path, WALLET_HOOKS_LOG_LEVEL="debug") as (url, master):
        use_secrets(url)
        assert call(url, "GET", "/finance/exports/journal.csv", headers={"Authorization": f"Bearer {printed}"}) == 200
        with writing(world.engine) as session:  # a defect, with its traceback
            session.execute(text("ALTER TABLE customer RENAME TO customer_gone"))
        use_secrets_of_a_broken_service(url)
        with writing(world.engine) as session:
            session.execute(text("ALTER TABLE customer_gone RENAME TO customer"))
        os.kill(workers_of(master)[0], signal.SIGKILL)
    outputs = {"log": (tmp_path / "server.log").read_bytes()}
    outputs |= exports(shell, tmp_path)
    for what in ("provider", "customer", "token", "staff"):
        outputs[f"{what} list"] = shell.ok(what, "list", "--json").encode()
    assert b"/bets" in outputs["log"]
    for secret_text in (MARK, printed):
        assert [name for name, output in outputs.items() if secret_text.encode() in output] == []


@pytest.mark.parametrize(
    "head",
    [f"GET /v1/stream/?token={MARK}\r\n\r\n", f"GET / HTTP/1.1\r\nHost: x\r\nSession {MARK}\r\n\r\n"],
    ids=["no version", "no colon"],
)
@pytest.mark.parametrize("parser", ["auto", "python"])
def test_what_is_not_http_is_logged_without_what_was_sent(world: World, tmp_path: Path, head: str, parser: str) -> None:
    url = world.settings.database_url
    with served(url, tmp_path, GUNICORN_CMD_ARGS=f"--http-parser {parser}") as (address, _):
        parts = urlsplit(address)
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
            client.sendall(head.encode())
            assert b" 400 " in client.recv(1000)
    log = (tmp_path / "server.log").read_text()
    assert "Invalid request from ip=127.0.0.1: not valid HTTP" in log
    assert MARK not in log


def use_secrets_of_a_broken_service(url: str) -> None:
    pair = base64.b64encode(f"acme:{MARK}".encode()).decode()
    assert call(url, "POST", "/bets", {"bets": [bet(3)]}, {"Authorization": f"Basic {pair}"}) >= 500
    assert call(url, "POST", "/v1/sessions/", {"username": "zoe", "password": f"{MARK}-password"}) >= 500


def exports(shell: Shell, directory: Path) -> dict[str, bytes]:
    """Return every report and a capture of the callbacks, as they are written."""
    written = {}
    for report in REPORTS:
        target = directory / f"{report}.jsonl"
        of = ["--brand", "acme", "--uid", "7"] if report == "statement" else []
        shell.ok("export", report, "--format", "jsonl", "-o", str(target), *of)
        written[report] = target.read_bytes() + Path(f"{target}.manifest.json").read_bytes()
    capture = directory / "capture.jsonl"
    shell.ok("replay", "record", "-o", str(capture))
    return written | {"capture": capture.read_bytes()}
