"""API tokens of machine callers: finance, operations, QA, payment providers. Only their hashes are stored."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks.database import reading
from wallet_hooks.errors import ForbiddenError, NotFoundError, RefusedError, SessionEndedError, UnauthenticatedError
from wallet_hooks.identity.models import ApiToken
from wallet_hooks.identity.tokens import new_token, record_use, token_hash

ROLES = ("finance", "operations", "qa", "cashier")
_PREFIX = "whk_"
_MAX_NAME_LENGTH = 100


class TokenHolder(NamedTuple):
    """The API token of an authenticated caller. `brand_id` None means all brands."""

    id: int
    name: str
    role: str
    brand_id: int | None

    def may(self, role: str, brand_id: int) -> bool:
        """Return whether the token has the role for the brand."""
        return self.role == role and self.brand_id in (None, brand_id)


def create(session: Session, *, name: str, role: str, brand_id: int | None, now: datetime) -> str:
    """Create a token with one of `ROLES` and return it. Raises RefusedError for a name that is too long."""
    if len(name) > _MAX_NAME_LENGTH:
        raise RefusedError("bad_name", f"name: {len(name)} characters; at most {_MAX_NAME_LENGTH}")
    token = _PREFIX + new_token()
    session.add(ApiToken(name=name, token_hash=token_hash(token), role=role, brand_id=brand_id, created_at=now))
    session.flush()
    return token


def find(session: Session, token: str) -> ApiToken | None:
    """Return the token's row; None if the token is unknown. Raises SessionEndedError if it was revoked."""
    found = session.scalar(select(ApiToken).where(ApiToken.token_hash == token_hash(token)))
    if found is not None and found.revoked_at is not None:
        raise SessionEndedError("the token was revoked")
    return found


def token_holder(engine: Engine, token: str, roles: Collection[str], *, now: datetime) -> TokenHolder:
    """Authenticate a token.

    Raises UnauthenticatedError if it is unknown or revoked, ForbiddenError if its role is not in `roles`.
    """
    with reading(engine) as session:
        found = find(session, token)
    if found is None:
        raise UnauthenticatedError("the token is unknown")
    if found.role not in roles:
        raise ForbiddenError(f"an API token with role {' or '.join(roles)} is required")
    record_use(engine, ApiToken, ApiToken.id == found.id, found.used_at, now=now)
    return TokenHolder(found.id, found.name, found.role, found.brand_id)


def revoke(session: Session, id_: int, *, now: datetime) -> None:
    """Revoke a token, effective at once. Raises NotFoundError if there is no such token."""
    token = session.get(ApiToken, id_)
    if token is None:
        raise NotFoundError(f"no API token with id {id_}")
    token.revoked_at = token.revoked_at or now
