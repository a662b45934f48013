"""Asking bookmakers, each in its own way."""

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import urllib3

from wallet_hooks import money
from wallet_hooks.errors import WalletHooksError
from wallet_hooks.identity.secrets import read_secret
from wallet_hooks.web.strict_json import InvalidJSONError, Number, read_json


class BookieUnavailableError(WalletHooksError):
    """The bookmaker did not answer, or not with a balance; the message says what happened, without any secret."""

    code = "bookie_unavailable"


class Asked(NamedTuple):
    """What a bookmaker is asked: where, for which login, in which currency the answer is expected."""

    bookie: str
    url: str
    secret: str | None
    username: str
    currency: str


_TIMEOUT = urllib3.Timeout(connect=1.0, read=3.0)
_MAX_ANSWER = 64 * 1024
_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=_TIMEOUT)


def _ask_http_json(asked: Asked) -> int:
    """`GET <url>/accounts/<username>/balance`, a Bearer token where there is a secret; `{"currency","balance"}`."""
    url = f"{asked.url.rstrip('/')}/accounts/{quote(asked.username, safe='')}/balance"
    headers = {"Accept": "application/json"}
    if asked.secret is not None:
        token = read_secret(asked.secret)
        if token is None:
            raise BookieUnavailableError(f"{asked.bookie}: its secret is not there")
        headers["Authorization"] = f"Bearer {token}"
    try:
        response = _pool.request("GET", url, headers=headers, redirect=False, preload_content=False)
        with response:
            body = response.read(_MAX_ANSWER + 1, decode_content=True)
    except urllib3.exceptions.HTTPError as error:
        raise BookieUnavailableError(f"{asked.bookie} did not answer ({type(error).__name__})") from None
    if response.status != 200:
        raise BookieUnavailableError(f"{asked.bookie} answered with status {response.status}")
    return _read_balance(asked, body)


def _read_balance(asked: Asked, body: bytes) -> int:
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


Adapter = Callable[[Asked], int]
ADAPTERS: dict[str, Adapter] = {"http-json": _ask_http_json}
