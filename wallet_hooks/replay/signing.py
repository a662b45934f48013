"""Sign requests as a provider does, with the authentication schemes of `identity/credentials.py`."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from standardwebhooks.webhooks import Webhook

_WRONG_SECRET = "a wrong secret that is long enough to be valid"  # noqa: S105 - no real secret
_VALID_FOR = timedelta(minutes=5)


def new_secret(auth: str, number: int = 0) -> str:
    """Return the secret with a number for a temporary service, in the format of the authentication scheme."""
    hashed = hashlib.sha256(f"replay {number}".encode())
    if auth == "standard-webhooks":
        return f"whsec_{b64encode(hashed.digest()).decode()}"
    return f"replay:throw-away-{number}" if auth == "basic" else hashed.hexdigest()


def signature_headers(
    auth: str, secret: str, *, client: str, body: bytes, sign: Mapping[str, Any], at: datetime, wall: datetime
) -> dict[str, str]:
    """Return the headers that authenticate a request.

    `sign` may hold `wrong` (sign with a wrong secret), `expired`, or `role` (of a scout-jwt, default admin).

    `at` is the service's clock; `wall` the real time, which the standard-webhooks library checks against.
    """
    if sign.get("wrong"):
        secret = f"whsec_{b64encode(_WRONG_SECRET.encode()).decode()}" if auth == "standard-webhooks" else _WRONG_SECRET
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
