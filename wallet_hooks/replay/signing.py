"""Signing requests as a provider does, by the proofs of `identity/credentials.py`."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from standardwebhooks.webhooks import Webhook

_WRONG = "this is not the secret, and long enough for one"
_VALID_FOR = timedelta(minutes=5)


def new_secret(auth: str) -> str:
    """A secret for a throw-away service, of the kind that the proof wants."""
    if auth == "standard-webhooks":
        return f"whsec_{b64encode(hashlib.sha256(b'replay').digest()).decode()}"
    return "replay:throw-away" if auth == "basic" else hashlib.sha256(b"replay").hexdigest()


def signature(
    auth: str, secret: str, *, client: str, body: bytes, sign: Mapping[str, Any], at: datetime, wall: datetime
) -> dict[str, str]:
    """The headers that prove a request. `sign` may ask for a wrong proof, an expired one, or a lesser role.

    `at` is the service's clock; `wall` the real one, by which the library of standard-webhooks judges.
    """
    if sign.get("wrong"):
        secret = f"whsec_{b64encode(_WRONG.encode()).decode()}" if auth == "standard-webhooks" else _WRONG
    match auth:
        case "scout-jwt":
            expires = at - _VALID_FOR if sign.get("expired") else at + _VALID_FOR
            claims = {"exp": int(expires.timestamp()), "username": "replay", "id": 1, "role": sign.get("role", "admin")}
            return {"Authorization": f"Bearer {client} {jwt.encode(claims, secret, algorithm='HS256')}"}
        case "basic":
            return {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"}
        case "hmac":
            return {"X-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
        case "standard-webhooks":
            sent = (wall - 2 * _VALID_FOR if sign.get("expired") else wall).astimezone(UTC)
            id_ = "msg_" + hashlib.sha256(body).hexdigest()[:24]
            return {
                "webhook-id": id_,
                "webhook-timestamp": str(int(sent.timestamp())),
                "webhook-signature": Webhook(secret).sign(id_, sent, body.decode("utf-8", "surrogateescape")),
            }
        case _:
            return {}
