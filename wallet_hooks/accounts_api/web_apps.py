"""Access of vendors' web applications to customers' accounts, after OAuth 2: codes, tokens, refreshing, revoking.

Codes and tokens are random, and stored as hashes. All that follows from one code is a grant: whoever presents a used
code or refresh token again may have stolen it, so the whole grant is revoked.
"""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.models import Application, AuthorisationCode, WebAppGrant, WebAppToken
from wallet_hooks.identity.tokens import token_hash
from wallet_hooks.text_checks import is_positive_number

_KEPT = timedelta(days=7)  # for which ended access tokens are kept
_ACCESS, _REFRESH = "access", "refresh"
_IS_OPEN = WebAppGrant.revoked_at.is_(None)


class AccessToken(NamedTuple):
    """An access token, and the customer whose account it opens."""

    customer_id: int
    is_valid: bool  # neither expired nor revoked


def create_code(session: Session, application_id: int, customer_id: int, *, now: datetime, life: timedelta) -> str:
    """Return a new authorisation code. Expired codes of the customer are deleted, except those of open grants."""
    open_grants = select(WebAppGrant.id).where(WebAppGrant.customer_id == customer_id, _IS_OPEN)
    expired = (AuthorisationCode.customer_id == customer_id, AuthorisationCode.expires_at <= now)
    is_useless = or_(AuthorisationCode.grant_id.is_(None), AuthorisationCode.grant_id.not_in(open_grants))
    session.execute(delete(AuthorisationCode).where(*expired, is_useless))
    code = secrets.token_urlsafe(32)
    session.add(
        AuthorisationCode(
            code_hash=token_hash(code), application_id=application_id, customer_id=customer_id, expires_at=now + life
        )
    )
    return code


def use_code(session: Session, application_id: int, code: str, *, now: datetime) -> WebAppGrant | None:
    """Return the grant of a code that is used for the first time, by its vendor, in time.

    None for any other. A second use also revokes the grant that the first one gave, so the caller must commit.
    """
    query = select(AuthorisationCode).where(AuthorisationCode.code_hash == token_hash(code))
    found = session.scalar(query.with_for_update())
    if found is None or found.application_id != application_id:
        return None
    if found.grant_id is not None:
        revoke_grant(session, found.grant_id, now=now)
        return None
    if found.expires_at <= now:
        return None
    grant = WebAppGrant(application_id=application_id, customer_id=found.customer_id, created_at=now)
    session.add(grant)
    session.flush()
    found.grant_id = grant.id
    return grant


def use_refresh_token(session: Session, application_id: int, token: str, *, now: datetime) -> WebAppGrant | None:
    """Return the grant of a refresh token and end the grant's tokens; None for a token that is not valid.

    A second use revokes the grant, so the caller must commit.
    """
    query = (
        select(WebAppToken, WebAppGrant)
        .join(WebAppGrant, WebAppGrant.id == WebAppToken.grant_id)
        .where(WebAppToken.token_hash == token_hash(token), WebAppToken.kind == _REFRESH)
        .where(WebAppGrant.application_id == application_id)
    )
    row = session.execute(query.with_for_update()).one_or_none()
    if row is None:
        return None
    found, grant = row
    if found.used_at is not None:
        revoke_grant(session, grant.id, now=now)
        return None
    if grant.revoked_at is not None:
        return None
    found.used_at = now
    of_grant = (WebAppToken.grant_id == grant.id, WebAppToken.kind == _ACCESS)
    # Who still uses an ended one does not guess, so it stays known for a while.
    session.execute(delete(WebAppToken).where(*of_grant, WebAppToken.expires_at <= now - _KEPT))
    session.execute(update(WebAppToken).where(*of_grant, WebAppToken.expires_at > now).values(expires_at=now))
    return grant


def create_tokens(session: Session, grant: WebAppGrant, *, now: datetime, life: timedelta) -> tuple[str, str]:
    """Return a new access token, valid for `life`, and a new refresh token."""
    access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add_all(
        [
            WebAppToken(token_hash=token_hash(access), grant_id=grant.id, kind=_ACCESS, expires_at=now + life),
            WebAppToken(token_hash=token_hash(refresh), grant_id=grant.id, kind=_REFRESH),
        ]
    )
    return access, refresh


def find_access_token(session: Session, token: str, application_id: int, *, now: datetime) -> AccessToken | None:
    """Return what is stored of a vendor's access token; None if it is unknown."""
    query = (
        select(WebAppGrant.customer_id, and_(WebAppToken.expires_at > now, _IS_OPEN))
        .join(WebAppToken, WebAppToken.grant_id == WebAppGrant.id)
        .where(WebAppToken.token_hash == token_hash(token), WebAppToken.kind == _ACCESS)
        .where(WebAppGrant.application_id == application_id)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else AccessToken(row[0], bool(row[1]))


def revoke_grant(session: Session, grant_id: int, *, now: datetime) -> None:
    """Revoke a grant with all its tokens."""
    open_grant = (WebAppGrant.id == grant_id, _IS_OPEN)
    session.execute(update(WebAppGrant).where(*open_grant).values(revoked_at=now))


def revoke_access(session: Session, application_id: int, customer_id: int, *, now: datetime) -> None:
    """Revoke every grant of a customer to a vendor, and end its unused codes. Repeating it changes nothing."""
    # The codes come first: this waits for a code that is being used, and then sees the grant that it gave.
    unused = (AuthorisationCode.application_id == application_id, AuthorisationCode.customer_id == customer_id)
    session.execute(delete(AuthorisationCode).where(*unused, AuthorisationCode.grant_id.is_(None)))
    mine = (WebAppGrant.application_id == application_id, WebAppGrant.customer_id == customer_id)
    session.execute(update(WebAppGrant).where(*mine, _IS_OPEN).values(revoked_at=now))


def has_access(session: Session, application_id: int, customer_id: int) -> bool:
    """Return whether a customer has given a vendor access that is not revoked."""
    mine = (WebAppGrant.application_id == application_id, WebAppGrant.customer_id == customer_id)
    return bool(session.scalar(select(exists().where(*mine, _IS_OPEN))))


def vendors_with_access(session: Session, customer_id: int) -> list[Application]:
    """Return the vendors' applications that have access to a customer's account."""
    granted = select(WebAppGrant.application_id).where(WebAppGrant.customer_id == customer_id, _IS_OPEN)
    return list(session.scalars(select(Application).where(Application.id.in_(granted)).order_by(Application.id)))


def vendor(session: Session, vendor_id: str) -> Application:
    """Return a vendor's application by its public id. Raises AccountsError."""
    found = session.get(Application, int(vendor_id)) if is_positive_number(vendor_id) else None
    if found is None or found.secret_hash is None:
        raise AccountsError("INVALID_INPUT_DATA", "vendorId: no such vendor")
    return found
