"""How an application's owner knows the customers: by ids of its own, and by whether it referred them."""

import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.accounts_api.models import VendorClient
from wallet_hooks.customers.models import CustomerProfile
from wallet_hooks.database import reading, writing
from wallet_hooks.text_checks import is_positive_number


def get_vendor_client_id(call: OperationCall) -> str:
    """Return the caller's id as the application's owner sees it; it is created with the first call."""
    with writing(call.engine) as session:
        return client_id(session, owner_id=call.key.owner_id, customer_id=call.customer.id)


def get_affiliate_relation(call: OperationCall) -> list[dict[str, str]]:
    """Return for each vendor client id whether the application's owner referred the customer, in the given order."""
    ids: list[str] = call.given["vendor_client_ids"]
    numbers = [int(id_) for id_ in ids if is_positive_number(id_)]
    owner_id = call.key.owner_id
    with reading(call.engine) as session:
        query = (
            select(VendorClient.id, CustomerProfile.referred_by_id)
            .outerjoin(CustomerProfile, CustomerProfile.customer_id == VendorClient.customer_id)
            .where(VendorClient.owner_id == owner_id, VendorClient.id.in_(numbers))
        )
        referrers = {str(id_): referrer for id_, referrer in session.execute(query)}
    return [{"vendorClientId": id_, "status": _status(id_, referrers, owner_id)} for id_ in ids]


def client_id(session: Session, *, owner_id: int, customer_id: int) -> str:
    """Return a customer's id for an application owner, creating it if needed."""
    own = (VendorClient.owner_id == owner_id, VendorClient.customer_id == customer_id)
    found = session.scalar(select(VendorClient.id).where(*own))
    if found is None:
        found = secrets.randbelow(9 * 10**14) + 10**14
        session.add(VendorClient(id=found, owner_id=owner_id, customer_id=customer_id))
        session.flush()
    return str(found)


def customer_of_client(session: Session, *, owner_id: int, client_id: str) -> int:
    """Return the customer's id behind an owner's vendor client id. Raises AccountsError."""
    found = None
    if is_positive_number(client_id):
        query = select(VendorClient.customer_id).where(VendorClient.owner_id == owner_id)
        found = session.scalar(query.where(VendorClient.id == int(client_id)))
    if found is None:
        raise AccountsError("INVALID_VENDOR_CLIENT_ID", "vendorClientId: not a client of this application key")
    return found


def _status(client_id: str, referrers: dict[str, Any], owner_id: int) -> str:
    if client_id not in referrers:
        return "INVALID_USER"
    return "AFFILIATED" if referrers[client_id] == owner_id else "NOT_AFFILIATED"
