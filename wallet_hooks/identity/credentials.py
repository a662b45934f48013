"""Authentication of callbacks: verifies a provider's credentials against the raw request.

`scout-jwt`: `Authorization: Bearer <client> <token>`, an HS256 JWT with `exp`, `username` and `id` or `uid`, whose
`role` is `user` or `admin`. `standard-webhooks`: `webhook-id`, `webhook-timestamp` (within five minutes of our clock),
`webhook-signature`.
`hmac`: `X-Signature`, the hex SHA-256 HMAC of the body. `basic`: the secret is `username:password`.
"""

import hashlib
import hmac
import re
import warnings
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from math import isfinite
from typing import Any, NamedTuple, Protocol

import jwt
from jwt.types import Options
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from wallet_hooks.identity.directory import ProviderFacts
from wallet_hooks.identity.secrets import read_secret
from wallet_hooks.web.source import Address, Source

AUTHENTICATIONS = ("none", "scout-jwt", "standard-webhooks", "hmac", "basic")
_PLACING_ROLES = ("user", "admin")


class Headers(Protocol):
    """A request's headers. Names are case-insensitive."""

    def get(self, name: str, default: str) -> str: ...

    def __getitem__(self, name: str) -> str: ...

    def __contains__(self, name: str) -> bool: ...

    def items(self) -> Iterable[tuple[str, str]]: ...


class Denial(Enum):
    """Why a caller is denied: the error code of the answer."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"


class ReceivedCall(NamedTuple):
    """A request to authenticate. `admin` says whether the call requires the role admin.

    `leeway`, in seconds, is the accepted difference between the token issuer's clock and ours.
    """

    headers: Headers
    body: bytes
    source: Source
    now: datetime
    admin: bool
    leeway: float


Scope = frozenset[tuple[str, str]]  # the (client, game) pairs that a caller is authenticated for


def authenticate(call: ReceivedCall, providers: Iterable[ProviderFacts]) -> Scope | Denial:
    """Return the (client, game) pairs whose credentials the request carries, or why it is denied."""
    candidates = [provider for provider in providers if _uses_method_of(provider, call)]
    allowed = [provider for provider in candidates if is_allowed(provider.allow, call.source.address)]
    if candidates and not allowed:
        return Denial.FORBIDDEN
    denials = {provider: _verify(provider, call) for provider in allowed}
    scope = frozenset((provider.client, provider.game) for provider, denial in denials.items() if denial is None)
    if scope:
        return scope
    elsewhere = (_verify(provider, call) for provider in candidates if provider not in denials)
    is_from_elsewhere = any(denial is not Denial.UNAUTHENTICATED for denial in elsewhere)
    is_forbidden = is_from_elsewhere or Denial.FORBIDDEN in denials.values()
    return Denial.FORBIDDEN if is_forbidden else Denial.UNAUTHENTICATED


def _uses_method_of(provider: ProviderFacts, call: ReceivedCall) -> bool:
    """Return whether the call carries credentials of the provider's authentication method, valid or not."""
    match provider.auth:
        case "none":
            return call.source.is_loopback
        case "scout-jwt":
            scheme, rest = _authorization(call)
            return scheme == "bearer" and rest.partition(" ")[0] == provider.client
        case "basic":
            return _authorization(call)[0] == "basic"
        case "hmac":
            return "X-Signature" in call.headers
        case _:
            return "Webhook-Signature" in call.headers


def _authorization(call: ReceivedCall) -> tuple[str, str]:
    """Return the scheme of the header Authorization, in lower case, and what follows it."""
    scheme, _, rest = call.headers.get("Authorization", "").partition(" ")
    return scheme.lower(), rest


def is_allowed(networks: Collection[IPv4Network | IPv6Network], address: Address | None) -> bool:
    """Return whether a provider with these networks may call from an address; without any, from everywhere."""
    return not networks or (address is not None and any(address in network for network in networks))


def _verify(provider: ProviderFacts, call: ReceivedCall) -> Denial | None:
    if provider.auth == "none":
        return None
    verify = _VERIFIERS[provider.auth]
    denial: Denial | None = Denial.UNAUTHENTICATED
    for reference in provider.secrets:  # two may be valid together, for rotation
        secret = read_secret(reference)
        if secret is not None:
            denial = verify(call, secret)
            if denial is not Denial.UNAUTHENTICATED:
                return denial
    return denial


def _verify_token(call: ReceivedCall, secret: str) -> Denial | None:
    token = call.headers["Authorization"].split(" ", 2)[2:]
    claims = _claims(token[0], secret) if token else None
    if claims is None or not _is_current(claims, call.now.timestamp(), call.leeway):
        return Denial.UNAUTHENTICATED
    role = claims.get("role", "user")  # older tokens have no role: they get the lesser one
    allowed = role == "admin" if call.admin else role in _PLACING_ROLES
    return None if allowed else Denial.FORBIDDEN


# `provider add` warns of short secrets; PyJWT would at every token.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)


@lru_cache(maxsize=1024)
def _claims(token: str, secret: str) -> Mapping[str, Any] | None:
    """Return the claims of a token with a valid signature, None otherwise. Cached: the caller checks the times."""
    try:
        claims: dict[str, Any] = jwt.decode(token, secret, algorithms=["HS256"], options=_OPTIONS)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    has_id = "id" in claims or "uid" in claims
    has_instants = all(_is_instant(claims.get(name, 0)) for name in ("exp", "nbf", "iat"))
    return claims if has_id and has_instants else None


def _is_current(claims: Mapping[str, Any], now: float, leeway: float) -> bool:
    """Return whether a token is valid at `now` (seconds since the epoch): `iat`, `nbf` and `exp`, within the leeway."""
    # The leeway is added to our clock: a claim may be an integer too large for a float.
    begins = max(claims.get("nbf", 0), claims.get("iat", 0))
    return bool(begins <= now + leeway and now - leeway < claims["exp"])


def _is_instant(value: object) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))


# The library verifies the signature only: `_is_current` checks the times at each call, other claims are not used.
_OPTIONS: Options = {
    "require": ["exp", "username"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


_WEBHOOK_SIGNATURE = re.compile("v1,(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _verify_webhook(call: ReceivedCall, secret: str) -> Denial | None:
    headers = {name.lower(): value for name, value in call.headers.items()}
    # The library fails at an entry that it cannot read, also where another one is right.
    entries = headers.get("webhook-signature", "").split(" ")
    headers["webhook-signature"] = " ".join(filter(_WEBHOOK_SIGNATURE.fullmatch, entries))
    try:
        Webhook(secret).verify(call.body, headers, json_parse=False)
    # A malformed header or secret makes the library raise any of these; all mean an invalid signature.
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, Base64Error, RuntimeError, IndexError):
        return Denial.UNAUTHENTICATED
    return None


def _verify_signature(call: ReceivedCall, secret: str) -> Denial | None:
    expected = hmac.new(secret.encode(), call.body, hashlib.sha256).hexdigest()
    given = call.headers["X-Signature"].removeprefix("sha256=").lower()
    return None if hmac.compare_digest(expected.encode(), given.encode()) else Denial.UNAUTHENTICATED


def _verify_password(call: ReceivedCall, secret: str) -> Denial | None:
    encoded = call.headers["Authorization"].partition(" ")[2]
    try:
        given = b64decode(encoded.encode(), validate=True)
    except (Base64Error, ValueError):
        return Denial.UNAUTHENTICATED
    return None if hmac.compare_digest(given, secret.encode()) else Denial.UNAUTHENTICATED


_VERIFIERS = {
    "scout-jwt": _verify_token,
    "standard-webhooks": _verify_webhook,
    "hmac": _verify_signature,
    "basic": _verify_password,
}
