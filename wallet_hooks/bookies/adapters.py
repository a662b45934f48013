"""Adapters that fetch an account's balance from a bookmaker, one per API of a bookmaker."""

import threading
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import quote

import urllib3

from wallet_hooks import clock, money
from wallet_hooks.errors import TryAgainError, WalletHooksError
from wallet_hooks.identity.secrets import read_secret
from wallet_hooks.web.strict_json import InvalidJSONError, Number, read_json


class BookieUnavailableError(WalletHooksError):
    """The bookmaker did not return a valid balance. The message never contains a secret."""

    code = "bookie_unavailable"


class BalanceQuery(NamedTuple):
    """Where to fetch a balance, for which login, and its currency. `secret` is a reference such as `env:NAME`."""

    bookie: str
    url: str
    secret: str | None
    username: str
    currency: str


_TIMEOUT = urllib3.Timeout(connect=1.0, read=2.0)
_ANSWER_TIMEOUT = 4.0  # seconds, for the complete answer
_MAX_ANSWER = 64 * 1024
_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=_TIMEOUT)
# Limits the threads that a hanging bookmaker can block.
_slots: dict[str, threading.BoundedSemaphore] = defaultdict(lambda: threading.BoundedSemaphore(4))


def _fetch_http_json(query: BalanceQuery) -> int:
    """Return the balance in minor units, from `GET <url>/accounts/<username>/balance`.

    The answer is `{"currency","balance"}`; a secret is sent as a Bearer token. Raises BookieUnavailableError, or
    TryAgainError if too many requests to the bookmaker are running.
    """
    url = f"{query.url.rstrip('/')}/accounts/{quote(query.username, safe='')}/balance"
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"} | _auth_headers(query)
    if not _slots[query.bookie].acquire(blocking=False):
        raise TryAgainError(f"too many requests to {query.bookie} are running")
    try:
        with _pool.request("GET", url, headers=headers, redirect=False, preload_content=False) as response:
            body = _read(response)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise BookieUnavailableError(f"{query.bookie} did not answer ({type(error).__name__})") from None
    finally:
        _slots[query.bookie].release()
    if response.status != 200:
        raise BookieUnavailableError(f"{query.bookie} answered with status {response.status}")
    return _read_balance(query, body)


def _auth_headers(query: BalanceQuery) -> dict[str, str]:
    if query.secret is None:
        return {}
    token = read_secret(query.secret)
    if token is None or not token.isascii() or not token.isprintable():
        raise BookieUnavailableError(f"{query.bookie}: its secret is missing, or is not printable ASCII")
    return {"Authorization": f"Bearer {token}"}


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the complete body. Raises TimeoutError if it takes too long, although each read may be in time."""
    deadline = clock.monotonic() + _ANSWER_TIMEOUT
    body = b""
    while len(body) <= _MAX_ANSWER and (part := response.read1(_MAX_ANSWER)):
        body += part
        if clock.monotonic() > deadline:
            raise TimeoutError
    return body


def _read_balance(query: BalanceQuery, body: bytes) -> int:
    """Return the balance in minor units. It may be negative at a bookmaker that gives credit."""
    try:
        document = read_json(body) if len(body) <= _MAX_ANSWER else None
    except InvalidJSONError:
        document = None
    if type(document) is not dict or type(document.get("balance")) not in (str, Number):
        raise BookieUnavailableError(f"{query.bookie} answered without a valid balance")
    if document.get("currency") != query.currency:
        raise BookieUnavailableError(f"{query.bookie} answered in a currency other than {query.currency}")
    read = partial(money.parse_number, currency=query.currency, maximum=money.MAX_AMOUNT)
    try:
        return money.parse_signed(str(document["balance"]), read)
    except money.AmountError:
        raise BookieUnavailableError(f"{query.bookie} answered with an invalid amount") from None


Adapter = Callable[[BalanceQuery], int]
ADAPTERS: dict[str, Adapter] = {"http-json": _fetch_http_json}
