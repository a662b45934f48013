"""Asking bookmakers, each in its own way."""

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import urllib3

from wallet_hooks import clock, money
from wallet_hooks.errors import TryAgainError, WalletHooksError
from wallet_hooks.identity.secrets import read_secret
from wallet_hooks.web.strict_json import InvalidJSONError, Number, read_json


class BookieUnavailableError(WalletHooksError):
    """The bookmaker did not answer, or not with a balance; the message says what happened, without any secret."""

    code = "bookie_unavailable"


class BalanceQuery(NamedTuple):
    """What a bookmaker is asked: where, for which login, in which currency the answer is expected."""

    bookie: str
    url: str
    secret: str | None
    username: str
    currency: str


_TIMEOUT = urllib3.Timeout(connect=1.0, read=2.0)
_PATIENCE = 4.0  # seconds for a whole answer
_MAX_ANSWER = 64 * 1024
_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=_TIMEOUT)
# A bookmaker that hangs holds a few threads at most.
_places: dict[str, threading.BoundedSemaphore] = defaultdict(lambda: threading.BoundedSemaphore(4))


def _ask_http_json(asked: BalanceQuery) -> int:
    """`GET <url>/accounts/<username>/balance`, a Bearer token where there is a secret; `{"currency","balance"}`."""
    url = f"{asked.url.rstrip('/')}/accounts/{quote(asked.username, safe='')}/balance"
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | _proof(asked)
    if not _places[asked.bookie].acquire(blocking=False):
        raise TryAgainError(f"{asked.bookie} is being asked a lot already")
    try:
        with _pool.request("GET", url, headers=headers, redirect=False, preload_content=False) as response:
            body = _read(response)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BookieUnavailableError(f"{asked.bookie} did not answer ({type(error).__name__})") from None
    finally:
        _places[asked.bookie].release()
    if response.status != 200:
        raise BookieUnavailableError(f"{asked.bookie} answered with status {response.status}")
    return _read_balance(asked, body)


def _proof(asked: BalanceQuery) -> dict[str, str]:
    if asked.secret is None:
        return {}
    token = read_secret(asked.secret)
    if token is None or not token.isascii() or not token.isprintable():
        raise BookieUnavailableError(f"{asked.bookie}: its secret is not there, or is no token")
    return {"Authorization": f"Bearer {token}"}


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """The whole body, in the time that there is. Raises TimeoutError for one that trickles."""
    deadline = clock.monotonic() + _PATIENCE
    body = b""
    while len(body) <= _MAX_ANSWER and (part := response.read1(_MAX_ANSWER)):
        body += part
        if clock.monotonic() > deadline:
            raise TimeoutError
    return body


def _read_balance(asked: BalanceQuery, body: bytes) -> int:
    """The balance in minor units; it may be negative at a bookmaker that gives credit."""
    try:
        document = read_json(body) if len(body) <= _MAX_ANSWER else None
    except InvalidJSONError:
        document = None
    if type(document) is not dict or type(document.get("balance")) not in (str, Number):
        raise BookieUnavailableError(f"{asked.bookie} answered with something else than a balance")
    if document.get("currency") != asked.currency:
        raise BookieUnavailableError(f"{asked.bookie} answered in another currency than {asked.currency}")
    text = str(document["balance"])
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    try:
        return sign * money.parse_number(digits, asked.currency, maximum=money.MAX_AMOUNT)
    except money.AmountError:
        raise BookieUnavailableError(f"{asked.bookie} answered with an amount that is none") from None


Adapter = Callable[[BalanceQuery], int]
ADAPTERS: dict[str, Adapter] = {"http-json": _ask_http_json}
