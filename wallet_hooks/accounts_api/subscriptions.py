"""Subscriptions of customers to applications: created, activated, renewed, cancelled, or expired at a midnight.

Time alone makes a subscription expire: its status is computed from its instants whenever it is read.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, select
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.field_types import instant_data
from wallet_hooks.accounts_api.models import Subscription
from wallet_hooks.web.fields import UNWANTED

UNACTIVATED, ACTIVATED, CANCELLED, EXPIRED = "UNACTIVATED", "ACTIVATED", "CANCELLED", "EXPIRED"
_MAX_DAYS = 36_500
_MAX_REFERENCE = 100
_ONE_DAY = timedelta(days=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


def status_of(subscription: Subscription, *, now: datetime) -> str:
    """Return a subscription's status at an instant."""
    if subscription.cancelled_at is not None:
        return CANCELLED
    if subscription.expires_at is not None and subscription.expires_at <= now:
        return EXPIRED
    return UNACTIVATED if subscription.activated_at is None else ACTIVATED


def status_at(now: datetime) -> ColumnElement[str]:
    """Return the SQL expression of `status_of`."""
    return case(
        (Subscription.cancelled_at.is_not(None), CANCELLED),
        (Subscription.expires_at <= now, EXPIRED),
        (Subscription.activated_at.is_(None), UNACTIVATED),
        else_=ACTIVATED,
    )


def expiry(start: datetime, days: int | None) -> datetime | None:
    """Return the first midnight (UTC) at or after an instant plus a number of days; None for an open-ended one.

    Raises AccountsError unless there are 1 to 36,500 days.
    """
    if days is None:
        return None
    if not 1 <= days <= _MAX_DAYS:
        raise AccountsError("INVALID_INPUT_DATA", f"subscriptionLength: 1 to {_MAX_DAYS} days")
    end = start.astimezone(UTC) + timedelta(days=days)
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == end else midnight + _ONE_DAY


def create(
    session: Session, application_id: int, *, days: int | None, client_reference: str | None, now: datetime
) -> Subscription:
    """Create a subscription that a customer can activate. Raises AccountsError."""
    if client_reference is not None and (len(client_reference) > _MAX_REFERENCE or UNWANTED.search(client_reference)):
        what = f"clientReference: at most {_MAX_REFERENCE} characters, no control characters"
        raise AccountsError("INVALID_CLIENT_REF", what)
    subscription = Subscription(
        token=secrets.token_hex(16),
        application_id=application_id,
        client_reference=client_reference,
        created_at=now,
        expires_at=expiry(now, days),
    )
    session.add(subscription)
    return subscription


def find_by_token(session: Session, token: str, application_id: int) -> Subscription:
    """Return an application's subscription, locked. Raises AccountsError for an unknown or foreign token."""
    query = select(Subscription).where(Subscription.token == token, Subscription.application_id == application_id)
    found = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if found is None:
        raise unknown_token()
    return found


def unknown_token() -> AccountsError:
    """Return the same error for tokens that are unknown and those that the caller may not use."""
    return AccountsError(
        "INVALID_SUBSCRIPTION_TOKEN", "subscriptionToken: unknown, or of another application or customer"
    )


def current(
    session: Session, application_id: int, customer_id: int, *, now: datetime, lock: bool = False
) -> Subscription | None:
    """Return the customer's active subscription; without one the one that was activated last, if any.

    Of several active ones it is the one that expires last, as the vendor's documentation of the operations says.
    """
    query = (
        select(Subscription)
        .where(Subscription.application_id == application_id, Subscription.customer_id == customer_id)
        .order_by(Subscription.activated_at.desc(), Subscription.id.desc())
    )
    found = list(session.scalars(query.with_for_update() if lock else query))
    active = [subscription for subscription in found if status_of(subscription, now=now) == ACTIVATED]
    return max(active, key=lambda one: one.expires_at or _NEVER, default=found[0] if found else None)


def check_subscribed(session: Session, application_id: int, customer_id: int, *, now: datetime) -> None:
    """Raise AccountsError unless the customer has an active subscription to the application."""
    subscription = current(session, application_id, customer_id, now=now)
    status = None if subscription is None else status_of(subscription, now=now)
    if status == EXPIRED:
        raise AccountsError("SUBSCRIPTION_EXPIRED", "the subscription to this application has expired")
    if status != ACTIVATED:
        raise AccountsError("USER_NOT_SUBSCRIBED", "this application requires a subscription")


def subscription_data(subscription: Subscription, *, now: datetime, client_id: str | None = None) -> dict[str, Any]:
    """Return a SubscriptionHistory, or with the vendor client id an ApplicationSubscription."""
    instants = {"createdDateTime": subscription.created_at, "activationDateTime": subscription.activated_at}
    data = _shared_data(subscription, instants, now=now)
    if subscription.client_reference is not None:
        data["clientReference"] = subscription.client_reference
    return data if client_id is None else {**data, "vendorClientId": client_id}


def token_info_data(subscription: Subscription, *, now: datetime) -> dict[str, Any]:
    """Return a SubscriptionTokenInfo."""
    return _shared_data(subscription, {"activatedDateTime": subscription.activated_at}, now=now)


def _shared_data(subscription: Subscription, more: dict[str, datetime | None], *, now: datetime) -> dict[str, Any]:
    status = status_of(subscription, now=now)
    instants = {
        **more,
        "expiryDateTime": subscription.expires_at,
        "expiredDateTime": subscription.expires_at if status == EXPIRED else None,
        "cancellationDateTime": subscription.cancelled_at,
    }
    return {
        "subscriptionToken": subscription.token,
        **{name: instant_data(instant) for name, instant in instants.items() if instant is not None},
        "subscriptionStatus": status,
    }
