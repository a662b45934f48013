"""The operations on vendors' web applications."""

import hmac
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks.accounts_api import subscriptions, web_apps
from wallet_hooks.accounts_api.applications import version_ids
from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError, UnknownCredentialError
from wallet_hooks.accounts_api.models import Application, WebAppGrant
from wallet_hooks.accounts_api.subscriptions import ACTIVATED, check_subscribed, status_of, subscription_data
from wallet_hooks.accounts_api.vendor_clients import client_id
from wallet_hooks.customers.callers import may_log_in
from wallet_hooks.customers.queries import customer_of_any_brand
from wallet_hooks.database import reading, writing
from wallet_hooks.identity.tokens import token_hash


def get_authorisation_code(call: OperationCall) -> dict[str, str]:
    """Return a code with which a vendor gets access to the caller's account, and where to send the caller with it."""
    life = timedelta(seconds=call.settings.accounts_code_lifetime)
    with writing(call.engine) as session:
        vendor = web_apps.vendor(session, call.given["vendor_id"])
        if vendor.subscription_required and vendor.owner_id != call.customer.id:
            check_subscribed(session, vendor.id, call.customer.id, now=call.now)
        code = web_apps.create_code(session, vendor.id, call.customer.id, now=call.now, life=life)
        return {"authorisationCode": code, "redirectUrl": vendor.redirect_url or ""}


def token(call: OperationCall) -> dict[str, Any]:
    """Return an access and a refresh token for an authorisation code or a refresh token, to the vendor itself."""
    grant_type = call.given["grant_type"]
    credential = call.given.get("code" if grant_type == "AUTHORIZATION_CODE" else "refresh_token")
    with writing(call.engine) as session:
        vendor = _authenticate(session, call)
        if not credential:
            raise AccountsError("INVALID_GRANT_TYPE", "grant_type: its code or refresh_token is missing")
        use = web_apps.use_code if grant_type == "AUTHORIZATION_CODE" else web_apps.use_refresh_token
        grant = use(session, vendor.id, credential, now=call.now)
        # A reused code or token revokes its grant, which must be committed: the error is raised afterwards.
        tokens = None if grant is None else _tokens(session, call, vendor, grant)
    if tokens is None:
        raise _invalid(call, "unknown, used, expired, revoked, or of another vendor", error=UnknownCredentialError)
    return tokens


def get_vendor_details(call: OperationCall) -> dict[str, Any]:
    """Return a vendor's name and redirect URL."""
    with reading(call.engine) as session:
        return _details(session, [web_apps.vendor(session, call.given["vendor_id"])])[0]


def list_authorized_web_apps(call: OperationCall) -> list[dict[str, Any]]:
    """Return the vendors that have access to the caller's account."""
    with reading(call.engine) as session:
        return _details(session, web_apps.vendors_with_access(session, call.customer.id))


def is_account_subscribed_to_web_app(call: OperationCall) -> bool:
    """Return whether the caller has given a vendor access."""
    with reading(call.engine) as session:
        vendor = web_apps.vendor(session, call.given["vendor_id"])
        return web_apps.has_access(session, vendor.id, call.customer.id)


def revoke_access_to_web_app(call: OperationCall) -> str:
    """End a vendor's access to the caller's account; repeating it changes nothing."""
    with writing(call.engine) as session:
        vendor = web_apps.vendor(session, str(call.given["vendor_id"]))
        web_apps.revoke_access(session, vendor.id, call.customer.id, now=call.now)
    return "SUCCESS"


def _authenticate(session: Session, call: OperationCall) -> Application:
    """Return the vendor that the key and the secret belong to."""
    vendor = session.get_one(Application, call.key.application_id)
    if vendor.secret_hash is None or call.given["client_id"] != str(vendor.id):
        raise AccountsError("INVALID_APP_KEY", "client_id: not the vendor of this application key")
    if not hmac.compare_digest(token_hash(call.given["client_secret"]), vendor.secret_hash):
        raise UnknownCredentialError("INVALID_SECRET", "client_secret: not the vendor's")
    return vendor


def _tokens(session: Session, call: OperationCall, vendor: Application, grant: WebAppGrant) -> dict[str, Any]:
    """Return the VendorAccessTokenInfo of a grant.

    Raises AccountsError where its customer may not log in (now): what was presented stays unused.
    """
    customer = customer_of_any_brand(session, grant.customer_id)
    if customer is None or not may_log_in(customer, now=call.now):
        raise _invalid(call, "its customer may not log in", error=AccountsError)
    life = timedelta(seconds=call.settings.accounts_token_lifetime)
    access, refresh = web_apps.create_tokens(session, grant, now=call.now, life=life)
    client = client_id(session, owner_id=vendor.owner_id, customer_id=grant.customer_id)
    subscription = subscriptions.current(session, vendor.id, grant.customer_id, now=call.now)
    is_active = subscription is not None and status_of(subscription, now=call.now) == ACTIVATED
    return {
        "access_token": access,
        "token_type": "BEARER",
        "expires_in": int(life.total_seconds()),
        "refresh_token": refresh,
        "application_subscription": subscription_data(subscription, now=call.now, client_id=client)
        if subscription is not None and is_active
        else {"subscriptionToken": "", "vendorClientId": client},  # the token is a required field
    }


def _invalid(call: OperationCall, reason: str, *, error: type[AccountsError]) -> AccountsError:
    """Return the error for a code or a refresh token that gives no tokens."""
    if call.given["grant_type"] == "AUTHORIZATION_CODE":
        return error("INVALID_AUTH_CODE", f"code: {reason}")
    return error("INVALID_GRANT_TYPE", f"refresh_token: {reason}")


def _details(session: Session, vendors: list[Application]) -> list[dict[str, Any]]:
    versions = version_ids(session, {vendor.id for vendor in vendors})
    return [
        {"appVersionId": versions[vendor.id], "vendorName": vendor.name, "redirectUrl": vendor.redirect_url or ""}
        for vendor in vendors
    ]
