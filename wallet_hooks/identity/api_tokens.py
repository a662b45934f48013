"""Tokens of machines: finance, operations, QA, payment providers."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from wallet_hooks.database import reading, writing
from wallet_hooks.errors import ForbiddenError, NotFoundError, RefusedError, UnauthenticatedError
from wallet_hooks.identity.models import ApiToken
from wallet_hooks.identity.sessions import new_token, token_hash

ROLES = ("finance", "operations", "qa", "cashier")
_PREFIX = "whk_"
_TOUCH = timedelta(seconds=60)


class TokenHolder(NamedTuple):
    """Who calls with an API token. `brand_id` None stands for every brand."""

    id: int
    name: str
    role: str
    brand_id: int | None

    def may(self, role: str, brand_id: int) -> bool:
        """Whether the holder has the role for the brand."""
        return self.role == role and self.brand_id in (None, brand_id)


def create(session: Session, *, name: str, role: str, brand_id: int | None, now: datetime) -> str:
    """Make a token and return it, the only time that it is seen. Raises RefusedError for an unknown role."""
    if role not in ROLES:
        raise RefusedError("unknown_role", f"a token's role is one of {', '.join(ROLES)}")
    if len(name) > 100:
        raise RefusedError("bad_name", "a token's name has at most 100 characters")
    token = _PREFIX + new_token()
    session.add(ApiToken(name=name, token_hash=token_hash(token), role=role, brand_id=brand_id, created_at=now))
    session.flush()
    return token


def find(session: Session, token: str) -> ApiToken | None:
    """The token's row, unless it was revoked."""
    query = select(ApiToken).where(ApiToken.token_hash == token_hash(token), ApiToken.revoked_at.is_(None))
    return session.scalar(query)


def touch(engine: Engine, found: ApiToken, *, now: datetime) -> None:
    """Remember the last use, to the minute."""
    if found.used_at is None or now - found.used_at >= _TOUCH:
        with writing(engine) as session:
            session.execute(update(ApiToken).where(ApiToken.id == found.id).values(used_at=now))


def token_holder(engine: Engine, token: str, roles: Collection[str], *, now: datetime) -> TokenHolder:
    """Who brings a token. Raises UnauthenticatedError for none, ForbiddenError for one of another role."""
    with reading(engine) as session:
        found = find(session, token)
    if found is None:
        raise UnauthenticatedError("the token is unknown or was revoked")
    if found.role not in roles:
        raise ForbiddenError(f"this needs a token with role {' or '.join(roles)}")
    touch(engine, found, now=now)
    return TokenHolder(found.id, found.name, found.role, found.brand_id)


def revoke(session: Session, id_: int, *, now: datetime) -> None:
    """From now on the token proves nothing. Raises NotFoundError."""
    token = session.get(ApiToken, id_)
    if token is None:
        raise NotFoundError(f"no token {id_}")
    token.revoked_at = token.revoked_at or now
