"""The parameters of the operations, in the order in which JSON-RPC takes them by position, and how they are read."""

from typing import Any

from marshmallow import Schema, ValidationError, fields

from wallet_hooks.accounts_api.errors import MISSING_PARAMETER, UNREADABLE, AccountsError, ProtocolError
from wallet_hooks.accounts_api.field_types import (
    GRANT_TYPES,
    INCLUDE_ITEMS,
    INVALID_VALUE,
    SUBSCRIPTION_STATUSES,
    WRONG_TYPE,
    ApiDate,
    ApiDouble,
    ApiEnum,
    ApiInteger,
    ApiString,
    ClientReference,
)
from wallet_hooks.ledger.chart import WALLETS
from wallet_hooks.web.fields import BaseSchema, BoundedList

_MAX_ELEMENTS = 100


class _Parameters(BaseSchema):
    """Parameters, of which the optional ones may be null: that is as if they were missing."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.allow_none = not field_obj.required


class NoParameters(_Parameters):
    pass


class AppNameParameters(_Parameters):
    app_name = ApiString(data_key="appName", required=True)


class WalletParameters(_Parameters):
    wallet = ApiEnum(WALLETS)


class TransferParameters(_Parameters):
    source = ApiEnum(WALLETS, data_key="from", required=True)
    target = ApiEnum(WALLETS, data_key="to", required=True)
    amount = ApiDouble(required=True)


class SubscriptionTokenRequest(_Parameters):
    days = ApiInteger(data_key="subscriptionLength")
    client_reference = ClientReference(data_key="clientReference")


class SubscriptionTokenParameters(_Parameters):
    token = ApiString(data_key="subscriptionToken", required=True)


class UpdateSubscriptionParameters(_Parameters):
    vendor_client_id = ApiString(data_key="vendorClientId", required=True)
    days = ApiInteger(data_key="subscriptionLength", required=True)


class SubscriptionStatusParameters(_Parameters):
    status = ApiEnum(SUBSCRIPTION_STATUSES, data_key="subscriptionStatus")


class SubscriptionHistoryParameters(_Parameters):
    vendor_client_id = ApiString(data_key="vendorClientId")
    application_key = ApiString(data_key="applicationKey")


class TimeRangeSchema(_Parameters):
    """Both ends are inclusive; a missing one is open."""

    since = ApiDate(data_key="from")
    until = ApiDate(data_key="to")


class StatementParameters(_Parameters):
    locale = ApiString()
    from_record = ApiInteger(data_key="fromRecord")
    record_count = ApiInteger(data_key="recordCount")
    date_range = fields.Nested(TimeRangeSchema, data_key="itemDateRange")
    include = ApiEnum(INCLUDE_ITEMS, data_key="includeItem")
    wallet = ApiEnum(WALLETS)


class CurrencyParameters(_Parameters):
    from_currency = ApiString(data_key="fromCurrency")


class VendorIdParameters(_Parameters):
    vendor_id = ApiString(data_key="vendorId", required=True)


class RevokeParameters(_Parameters):
    vendor_id = ApiInteger(is_long=True, data_key="vendorId", required=True)


class TokenParameters(_Parameters):
    client_id = ApiString(required=True)
    grant_type = ApiEnum(GRANT_TYPES, required=True)
    code = ApiString()
    client_secret = ApiString(required=True)
    refresh_token = ApiString()


class VendorClientIdsParameters(_Parameters):
    vendor_client_ids = BoundedList(
        ApiString(),
        most=_MAX_ELEMENTS,
        data_key="vendorClientIds",
        required=True,
        error_messages={"too_long": INVALID_VALUE},
    )


def read_parameters(schema: Schema, document: Any) -> dict[str, Any]:
    """Read an operation's parameters: an object, an array by position, or None. null is treated as missing.

    Raises ProtocolError for a missing parameter or a wrong type, AccountsError for a text or list that none takes.
    """
    if type(document) is list:
        names = [field.data_key or name for name, field in schema.fields.items()]
        if len(document) > len(names):
            raise ProtocolError(UNREADABLE)
        document = dict(zip(names, document, strict=False))
    if type(document) is not dict and document is not None:
        raise ProtocolError(UNREADABLE)
    try:
        return dict(schema.load(_without_nulls(document or {})))
    except ValidationError as error:
        messages = set(_flat(error.normalized_messages()))  # type: ignore[no-untyped-call]
    if messages == {INVALID_VALUE}:
        details = f"a text has control characters or more than 1000 characters, or a list over {_MAX_ELEMENTS} elements"
        raise AccountsError("INVALID_INPUT_DATA", details)
    is_missing = any(message not in (INVALID_VALUE, WRONG_TYPE) for message in messages) and WRONG_TYPE not in messages
    raise ProtocolError(MISSING_PARAMETER if is_missing else UNREADABLE)


def _without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if type(value) is dict else value
        for key, value in document.items()
        if value is not None
    }


def _flat(messages: Any) -> list[str]:
    """Return the messages of all fields; marshmallow's own for a wrong type, or a null in a list, become ours."""
    if isinstance(messages, dict):
        return [message for value in messages.values() for message in _flat(value)]
    if isinstance(messages, list):
        return [message for value in messages for message in _flat(value)]
    return [
        WRONG_TYPE
        if messages in ("Invalid input type.", "Not a valid list.", "Field may not be null.")
        else str(messages)
    ]
