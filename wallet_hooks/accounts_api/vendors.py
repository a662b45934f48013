"""What the operator decides about applications: which are vendors', and which keys are active; and vendors' URLs."""

import secrets
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api.applications import find_application
from wallet_hooks.accounts_api.models import Application, ApplicationVersion
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.tokens import token_hash
from wallet_hooks.text_checks import MAX_URL, is_web_url


def make_vendor(
    session: Session, name: str, *, redirect_url: str, subscription_required: bool
) -> tuple[Application, str]:
    """Make an application a vendor's. Return it and its new secret, of which only the hash is stored.

    Raises NotFoundError, RefusedError for a URL that is not http or https.
    """
    application = find_application(session, name)
    if application is None:
        raise NotFoundError(f"no application {name!r}; developers create them with createDeveloperAppKeys")
    check_url(redirect_url)
    secret = secrets.token_hex(32)
    application.secret_hash, application.redirect_url = token_hash(secret), redirect_url
    application.subscription_required = subscription_required
    session.flush()
    return application, secret


def set_key_active(session: Session, key: str, *, is_active: bool) -> None:
    """Activate or deactivate an application key. Raises NotFoundError."""
    version = session.scalar(select(ApplicationVersion).where(ApplicationVersion.key == key))
    if version is None:
        raise NotFoundError(f"no application key {key!r}")
    version.active = is_active


def select_vendors() -> Select[Application]:
    """Return the statement that selects the vendors, oldest first."""
    return select(Application).where(Application.secret_hash.is_not(None)).order_by(Application.id)


def vendor_data(vendor: Application) -> dict[str, Any]:
    """Return a vendor as its owner and commands see it."""
    return {
        "vendor_id": str(vendor.id),
        "app": vendor.name,
        "redirect_url": vendor.redirect_url,
        "subscription_required": vendor.subscription_required,
    }


def check_url(url: str) -> None:
    """Raise RefusedError unless the URL is one that customers may be sent to."""
    if not is_web_url(url):
        raise RefusedError("bad_url", f"redirect URL: an http or https URL of up to {MAX_URL} characters is expected")
