"""The operations on subscriptions: the owner creates and renews them, the customer activates them, both cancel."""

from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api import subscriptions
from wallet_hooks.accounts_api.access import find_key
from wallet_hooks.accounts_api.applications import version_ids
from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.models import Application, Subscription, VendorClient
from wallet_hooks.accounts_api.subscriptions import ACTIVATED, EXPIRED, UNACTIVATED, status_of, subscription_data
from wallet_hooks.accounts_api.vendor_clients import client_id, customer_of_client
from wallet_hooks.database import reading, writing

_SUCCESS = "SUCCESS"


def get_application_subscription_token(call: OperationCall) -> str:
    """Return a new token, with which one customer can subscribe to the application."""
    with writing(call.engine) as session:
        return subscriptions.create(
            session,
            call.key.application_id,
            days=call.given.get("days"),
            client_reference=call.given.get("client_reference"),
            now=call.now,
        ).token


def activate_application_subscription(call: OperationCall) -> str:
    """Subscribe the caller to the application, with a token that was not used, cancelled or expired."""
    with writing(call.engine) as session:
        subscription = subscriptions.find_by_token(session, call.given["token"], call.key.application_id)
        if status_of(subscription, now=call.now) != UNACTIVATED:
            raise AccountsError("INVALID_SUBSCRIPTION_TOKEN", "subscriptionToken: used, cancelled or expired")
        subscription.customer_id, subscription.activated_at = call.customer.id, call.now
        client_id(session, owner_id=call.key.owner_id, customer_id=call.customer.id)
    return _SUCCESS


def cancel_application_subscription(call: OperationCall) -> str:
    """Cancel a subscription, for its customer or the application's owner."""
    with writing(call.engine) as session:
        subscription = subscriptions.find_by_token(session, call.given["token"], call.key.application_id)
        status = status_of(subscription, now=call.now)
        if call.customer.id not in (subscription.customer_id, call.key.owner_id):
            raise subscriptions.unknown_token()
        if status == EXPIRED:
            raise AccountsError("SUBSCRIPTION_EXPIRED", "subscriptionToken: the subscription has expired")
        if status not in (ACTIVATED, UNACTIVATED):
            raise AccountsError("INVALID_SUBSCRIPTION_TOKEN", "subscriptionToken: the subscription is cancelled")
        subscription.cancelled_at = call.now
    return _SUCCESS


def update_application_subscription(call: OperationCall) -> str:
    """Renew a customer's active subscription from now on. Returns its token."""
    with writing(call.engine) as session:
        key, vendor_client = call.key, call.given["vendor_client_id"]
        customer_id = customer_of_client(session, owner_id=key.owner_id, client_id=vendor_client)
        subscription = subscriptions.current(session, key.application_id, customer_id, now=call.now, lock=True)
        status = None if subscription is None else status_of(subscription, now=call.now)
        if status == EXPIRED:
            raise AccountsError("SUBSCRIPTION_EXPIRED", "the subscription has expired")
        if subscription is None or status != ACTIVATED:
            raise AccountsError("INVALID_VENDOR_CLIENT_ID", "vendorClientId: not subscribed to this application")
        subscription.expires_at = subscriptions.expiry(call.now, call.given["days"])
        return subscription.token


def list_application_subscription_tokens(call: OperationCall) -> list[dict[str, Any]]:
    """Return the application's subscriptions, oldest first, of one status or all."""
    key, wanted = call.key, call.given.get("status", "ALL")
    query = (
        select(Subscription, VendorClient.id)
        .outerjoin(
            VendorClient,
            and_(VendorClient.owner_id == key.owner_id, VendorClient.customer_id == Subscription.customer_id),
        )
        .where(Subscription.application_id == key.application_id)
    )
    if wanted != "ALL":
        query = query.where(subscriptions.status_at(call.now) == wanted)
    with reading(call.engine) as session:
        return [
            subscription_data(one, now=call.now, client_id=None if client is None else str(client))
            for one, client in session.execute(query.order_by(Subscription.id))
        ]


def list_account_subscription_tokens(call: OperationCall) -> list[dict[str, Any]]:
    """Return the caller's subscriptions by application."""
    with reading(call.engine) as session:
        query = (
            select(Subscription, Application.name)
            .join(Application, Application.id == Subscription.application_id)
            .where(Subscription.customer_id == call.customer.id)
            .order_by(Application.id, Subscription.id)
        )
        by_application: dict[int, dict[str, Any]] = {}
        for subscription, name in session.execute(query):
            listed = by_application.setdefault(
                subscription.application_id, {"subscriptionTokens": [], "applicationName": name}
            )
            listed["subscriptionTokens"].append(subscriptions.token_info_data(subscription, now=call.now))
        for application_id, version_id in version_ids(session, set(by_application)).items():
            by_application[application_id]["applicationVersionId"] = str(version_id)
    return list(by_application.values())


def get_application_subscription_history(call: OperationCall) -> list[dict[str, Any]]:
    """Return all subscriptions of one customer to one application, oldest first.

    With an application key the application's owner asks about a vendor client id; without one a customer asks about
    its own subscriptions to the application of a key.
    """
    with reading(call.engine) as session:
        application_id, customer_id = _history_of(session, call)
        query = select(Subscription).where(
            Subscription.application_id == application_id, Subscription.customer_id == customer_id
        )
        return [subscription_data(one, now=call.now) for one in session.scalars(query.order_by(Subscription.id))]


def _history_of(session: Session, call: OperationCall) -> tuple[int, int]:
    """Return the application's and the customer's id that the history is about."""
    if call.app_key is not None:
        vendor_client = call.given.get("vendor_client_id", "")
        owner_id = call.app_key.owner_id
        return call.app_key.application_id, customer_of_client(session, owner_id=owner_id, client_id=vendor_client)
    if not (application_key := call.given.get("application_key")):
        raise AccountsError("NO_APP_KEY", "applicationKey: required without a header X-Application")
    if (key := find_key(session, application_key)) is None:
        raise AccountsError("INVALID_APP_KEY", "applicationKey: unknown or not active")
    return key.application_id, call.customer.id
