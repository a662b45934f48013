"""Targets of requests: the service in this process, or a remote one at a URL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import urllib3
from sqlalchemy import Engine
from werkzeug.test import Client

from wallet_hooks import clock
from wallet_hooks.betslips.routes import BETSLIPS_API, Intake
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.routes import callbacks_alone
from wallet_hooks.web import api
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import TEST_CLOCK_HEADER

_TIMEOUT = 30.0
_LOCALHOST = "127.0.0.1"


class UnreachableError(Exception):
    """The target does not answer."""


class ClockError(Exception):
    """The target does not accept a recorded time: its test clock is off."""


class TargetRequest(NamedTuple):
    """An outgoing request. `at` is the time to set the service's clock to; None leaves it running."""

    method: str
    path: str
    headers: Mapping[str, str | None]
    body: bytes
    source: str | None
    at: datetime | None


class TargetResponse(NamedTuple):
    """The answer of a target: status, and body as text."""

    status: int
    text: str


def escape_path(path: str) -> str:
    """Percent-encode a path."""
    return quote(path, safe="/?&=%:@!$'()*+,;~-._")


class Target(Protocol):
    """Receives requests. `address` is its URL."""

    address: str

    def send(self, sent: TargetRequest) -> TargetResponse:
        """Send a request and return the answer. Raises UnreachableError, or ClockError if `at` is not accepted."""


class InProcess:
    """The callbacks and the intake of betslip messages in this process, on engines of one database."""

    address = "http://127.0.0.1:8000"

    def __init__(self, engine: Engine, callbacks: Engine, settings: Settings, countries: Countries) -> None:
        app = callbacks_alone(callbacks, settings, countries)
        intake = Intake(engine, settings).endpoint()
        app.register_blueprint(api.blueprint(BETSLIPS_API, [intake], settings))
        self._client = Client(app, use_cookies=False)

    def send(self, sent: TargetRequest) -> TargetResponse:
        clock.set_now(sent.at)
        environ: dict[str, Any] = {"REMOTE_ADDR": sent.source or _LOCALHOST}
        for name, value in {"Content-Length": str(len(sent.body)), **sent.headers}.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"] = value or ""
        response = self._client.open(sent.path, method=sent.method, data=sent.body, environ_overrides=environ)
        try:
            return TargetResponse(response.status_code, response.get_data(as_text=True))
        finally:
            response.close()


class Remote:
    """A service at a URL. Setting its clock needs its setting `test_clock`."""

    def __init__(self, url: str, *, connections: int = 1) -> None:
        self.address = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=_TIMEOUT)

    def send(self, sent: TargetRequest) -> TargetResponse:
        headers = {name: value for name, value in sent.headers.items() if value is not None}
        if sent.at is not None:
            headers[TEST_CLOCK_HEADER] = sent.at.isoformat()
        has_length = sent.headers.get("Content-Length", "") is not None
        try:
            response = self._pool.request(
                sent.method,
                f"{self.address}{escape_path(sent.path)}",
                body=sent.body,
                headers=headers,
                chunked=not has_length,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{self.address}: {error}") from None
        if sent.at is not None and TEST_CLOCK_HEADER not in response.headers:
            raise ClockError(
                f"--clock recorded: {self.address} runs without a test clock (WALLET_HOOKS_TEST_CLOCK); use --clock now"
            )
        return TargetResponse(response.status, response.data.decode("utf-8", "replace"))

    def close(self) -> None:
        """Close the connections: a service waits for them when it shuts down."""
        self._pool.clear()
