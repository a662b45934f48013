"""Where requests are sent: to the service in this process, or to one at a URL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import urllib3
from sqlalchemy import Engine
from werkzeug.test import Client

from wallet_hooks import clock
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.routes import callbacks_alone
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import TEST_CLOCK_HEADER

_TIMEOUT = 30.0
_LOCALHOST = "127.0.0.1"


class UnreachableError(Exception):
    """The target does not answer."""


class ClockError(Exception):
    """The target was to show a recorded time, and does not."""


class Sent(NamedTuple):
    """A request as it goes out. `at` is what the service's clock shall show, None for its own time."""

    method: str
    path: str
    headers: Mapping[str, str | None]
    body: bytes
    source: str | None
    at: datetime | None


class Answered(NamedTuple):
    """An answer: its status, and its body as text."""

    status: int
    text: str


def escaped(path: str) -> str:
    """A path as it goes over the wire."""
    return quote(path, safe="/?&=%:@!$'()*+,;~-._")


class Target(Protocol):
    """Something that answers requests. `address` is its URL."""

    address: str

    def send(self, sent: Sent) -> Answered:
        """Raises UnreachableError."""


class InProcess:
    """The callbacks of this very code, on a database of its own."""

    address = "http://127.0.0.1:8000"

    def __init__(self, engine: Engine, settings: Settings, countries: Countries) -> None:
        self._client = Client(callbacks_alone(engine, settings, countries), use_cookies=False)

    def send(self, sent: Sent) -> Answered:
        clock.set_now(sent.at)
        environ: dict[str, Any] = {"REMOTE_ADDR": sent.source or _LOCALHOST}
        for name, value in {"Content-Length": str(len(sent.body)), **sent.headers}.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"] = value or ""
        response = self._client.open(sent.path, method=sent.method, data=sent.body, environ_overrides=environ)
        try:
            return Answered(response.status_code, response.get_data(as_text=True))
        finally:
            response.close()


class Remote:
    """A service at a URL. Its clock is set where it takes that (see the setting `test_clock`)."""

    def __init__(self, url: str, *, connections: int = 1) -> None:
        self.address = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False, timeout=_TIMEOUT)

    def send(self, sent: Sent) -> Answered:
        headers = {name: value for name, value in sent.headers.items() if value is not None}
        if sent.at is not None:
            headers[TEST_CLOCK_HEADER] = sent.at.isoformat()
        has_length = sent.headers.get("Content-Length", "") is not None
        try:
            response = self._pool.request(
                sent.method,
                f"{self.address}{escaped(sent.path)}",
                body=sent.body,
                headers=headers,
                chunked=not has_length,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnreachableError(f"{self.address}: {error}") from None
        if sent.at is not None and TEST_CLOCK_HEADER not in response.headers:
            raise ClockError(f"{self.address} takes no time from a replay: it runs without a test clock")
        return Answered(response.status, response.data.decode("utf-8", "replace"))

    def close(self) -> None:
        """Let go of the connections: a service that is to stop waits for them."""
        self._pool.clear()
