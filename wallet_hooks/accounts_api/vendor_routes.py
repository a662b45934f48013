"""The /v1 routes with which developers see their vendors' applications and change where customers are sent."""

from typing import Any

from sqlalchemy import Select

from wallet_hooks.accounts_api.models import Application
from wallet_hooks.accounts_api.vendors import check_url, select_vendors, vendor_data
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import NotFoundError
from wallet_hooks.text_checks import MAX_URL
from wallet_hooks.v1 import ID, ApiCall, V1Route
from wallet_hooks.web.api import ApiContext
from wallet_hooks.web.fields import BaseSchema, Text


class ChangedVendorSchema(BaseSchema):
    redirect_url = Text(required=True, max_length=MAX_URL, metadata={"description": "An http or https URL."})


def list_vendors(context: ApiContext, call: ApiCall) -> list[dict[str, Any]]:
    """Return the caller's applications that are vendors'."""
    with reading(context.engine) as session:
        return [vendor_data(vendor) for vendor in session.scalars(_vendors_of(call))]


def patch_vendor(context: ApiContext, call: ApiCall, vendor_id: int) -> dict[str, Any]:
    """Change where customers are sent with an authorisation code of the caller's application."""
    check_url(call.given["redirect_url"])
    with writing(context.engine) as session:
        vendor = session.scalar(_vendors_of(call).where(Application.id == vendor_id))
        if vendor is None:
            raise NotFoundError(f"no vendor {vendor_id}")
        vendor.redirect_url = call.given["redirect_url"]
        return vendor_data(vendor)


ROUTES = (
    V1Route("GET", "/v1/vendors/", list_vendors),
    V1Route("PATCH", f"/v1/vendors/<{ID}:vendor_id>/", patch_vendor, ChangedVendorSchema),
)


def _vendors_of(call: ApiCall) -> Select[Application]:
    return select_vendors().where(Application.owner_id == call.customer.id)
