"""Every type and enumeration of the source, and how an operation's parameters are read.

Amounts are JSON numbers in major units, read and written exactly. Instants are `2026-11-25T09:00:00.000Z`.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields

from wallet_hooks.accounts_api.errors import MISSING_PARAMETER, UNREADABLE, AccountsError, ProtocolError
from wallet_hooks.web.fields import UNWANTED, BaseSchema
from wallet_hooks.web.strict_json import Number

WALLETS = ("UK", "AUSTRALIAN")
INCLUDE_ITEMS = ("ALL", "EXCHANGE", "POKER_ROOM", "DEPOSITS_WITHDRAWALS")
GRANT_TYPES = ("AUTHORIZATION_CODE", "REFRESH_TOKEN")
SUBSCRIPTION_STATUSES = ("ALL", "ACTIVATED", "UNACTIVATED", "CANCELLED", "EXPIRED")
STATUSES = ("SUCCESS",)
ITEM_CLASSES = ("UNKNOWN",)
TOKEN_TYPES = ("BEARER",)
AFFILIATE_STATUSES = ("INVALID_USER", "AFFILIATED", "NOT_AFFILIATED")

_MAX_TEXT = 1000
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII | re.IGNORECASE
)
_INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1
_WRONG_TYPE = "wrong type"
_INVALID = "invalid value"


class ApiString(fields.Field[str]):
    """A string; control characters and more than 1,000 characters are INVALID_INPUT_DATA."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError(_WRONG_TYPE)
        if len(value) > _MAX_TEXT or UNWANTED.search(value):
            raise ValidationError(_INVALID)
        return value


class ClientReference(ApiString):
    """A string of any length: the operation has an error code for those that it does not take."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError(_WRONG_TYPE)
        return value


class ApiInteger(fields.Field[int]):
    """The source's int (32 bits) or, with `is_long`, its long (64 bits): a JSON number without a fraction."""

    def __init__(self, *, is_long: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum = _LONG_MAX if is_long else _INT_MAX

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if type(value) is not Number or not _INTEGER.fullmatch(value):
            raise ValidationError(_WRONG_TYPE)
        number = int(value)
        if not -self.maximum - 1 <= number <= self.maximum:
            raise ValidationError(_WRONG_TYPE)
        return number


class LongOrString(ApiInteger):
    """An id that clients send as a number or as a string of digits."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(is_long=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        return super()._deserialize(Number(value) if type(value) is str else value, attr, data, **kwargs)


class ApiDouble(fields.Field[Number]):
    """The source's double: a JSON number, kept as the text that was sent, so that it is read exactly."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Number:
        if type(value) is not Number:
            raise ValidationError(_WRONG_TYPE)
        return value


class ApiDate(fields.Field[datetime]):
    """An ISO 8601 instant; without an offset it is UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if type(value) is not str or not _INSTANT.fullmatch(value):
            raise ValidationError(_WRONG_TYPE)
        try:
            instant = datetime.fromisoformat(value.upper())
            return (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(_WRONG_TYPE) from None


class ApiBoolean(fields.Boolean):
    """A JSON boolean."""


class ApiEnum(fields.Field[str]):
    """One of the source's enumeration values, in its spelling."""

    def __init__(self, values: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str or value not in self.values:
            raise ValidationError(_WRONG_TYPE)
        return value


# Parameters, in the order in which JSON-RPC takes them by position.


class NoParameters(BaseSchema):
    pass


class AppNameParameters(BaseSchema):
    app_name = ApiString(data_key="appName", required=True)


class WalletParameters(BaseSchema):
    wallet = ApiEnum(WALLETS)


class TransferParameters(BaseSchema):
    source = ApiEnum(WALLETS, data_key="from", required=True)
    target = ApiEnum(WALLETS, data_key="to", required=True)
    amount = ApiDouble(required=True)


class SubscriptionTokenRequest(BaseSchema):
    days = ApiInteger(data_key="subscriptionLength")
    client_reference = ClientReference(data_key="clientReference")


class SubscriptionTokenParameters(BaseSchema):
    token = ApiString(data_key="subscriptionToken", required=True)


class UpdateSubscriptionParameters(BaseSchema):
    vendor_client_id = ApiString(data_key="vendorClientId", required=True)
    days = ApiInteger(data_key="subscriptionLength", required=True)


class SubscriptionStatusParameters(BaseSchema):
    status = ApiEnum(SUBSCRIPTION_STATUSES, data_key="subscriptionStatus")


class SubscriptionHistoryParameters(BaseSchema):
    vendor_client_id = ApiString(data_key="vendorClientId")
    application_key = ApiString(data_key="applicationKey")


class TimeRangeSchema(BaseSchema):
    """Both ends are inclusive; a missing one is open."""

    since = ApiDate(data_key="from")
    until = ApiDate(data_key="to")


class StatementParameters(BaseSchema):
    locale = ApiString()
    from_record = ApiInteger(data_key="fromRecord")
    record_count = ApiInteger(data_key="recordCount")
    date_range = fields.Nested(TimeRangeSchema, data_key="itemDateRange")
    include = ApiEnum(INCLUDE_ITEMS, data_key="includeItem")
    wallet = ApiEnum(WALLETS)


class CurrencyParameters(BaseSchema):
    from_currency = ApiString(data_key="fromCurrency")


class VendorIdParameters(BaseSchema):
    vendor_id = ApiString(data_key="vendorId", required=True)


class RevokeParameters(BaseSchema):
    vendor_id = LongOrString(data_key="vendorId", required=True)


class TokenParameters(BaseSchema):
    client_id = ApiString(required=True)
    grant_type = ApiEnum(GRANT_TYPES, required=True)
    code = ApiString()
    client_secret = ApiString(required=True)
    refresh_token = ApiString()


class VendorClientIdsParameters(BaseSchema):
    vendor_client_ids = fields.List(ApiString(), data_key="vendorClientIds", required=True)


def read_parameters(schema: Schema, document: Any) -> dict[str, Any]:
    """Read an operation's parameters: an object, an array by position, or None. A null is as a missing one.

    Raises ProtocolError for a missing parameter or a wrong type, AccountsError for a text that no operation takes.
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
    if messages == {_INVALID}:
        raise AccountsError("INVALID_INPUT_DATA", "a text has control characters or more than 1000 characters")
    is_missing = any(message not in (_INVALID, _WRONG_TYPE) for message in messages) and _WRONG_TYPE not in messages
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
        _WRONG_TYPE
        if messages in ("Invalid input type.", "Not a valid list.", "Field may not be null.")
        else str(messages)
    ]


# Results.
Result = fields.Field[Any]


def object_field(schema: type[Schema]) -> Result:
    """Return the field of one object."""
    return fields.Nested(schema)


def list_field(schema: type[Schema]) -> Result:
    """Return the field of a list of objects."""
    return fields.List(fields.Nested(schema))


class TransferResponseSchema(Schema):
    transactionId = ApiString(required=True)


class StatementLegacyDataSchema(Schema):
    avgPrice = ApiDouble()
    betSize = ApiDouble()
    betType = ApiString()
    betCategoryType = ApiString()
    commissionRate = ApiString()
    eventId = ApiInteger(is_long=True)
    eventTypeId = ApiInteger(is_long=True)
    fullMarketName = ApiString()
    grossBetAmount = ApiDouble()
    marketName = ApiString()
    marketType = ApiString()
    placedDate = ApiDate()
    selectionId = ApiInteger(is_long=True)
    selectionName = ApiString()
    startDate = ApiDate()
    transactionType = ApiString()
    transactionId = ApiInteger(is_long=True)
    winLose = ApiString()


class StatementItemSchema(Schema):
    refId = ApiString()
    itemDate = ApiDate()
    amount = ApiDouble()
    balance = ApiDouble()
    itemClass = ApiEnum(ITEM_CLASSES)
    itemClassData = fields.Dict(keys=fields.String(), values=fields.String())
    legacyData = fields.Nested(StatementLegacyDataSchema)


class AccountStatementReportSchema(Schema):
    accountStatement = fields.List(fields.Nested(StatementItemSchema), required=True)
    moreAvailable = ApiBoolean(required=True)


class SubscriptionHistorySchema(Schema):
    subscriptionToken = ApiString(required=True)
    expiryDateTime = ApiDate()
    expiredDateTime = ApiDate()
    createdDateTime = ApiDate()
    activationDateTime = ApiDate()
    cancellationDateTime = ApiDate()
    subscriptionStatus = ApiEnum(SUBSCRIPTION_STATUSES)
    clientReference = ApiString()


class ApplicationSubscriptionSchema(SubscriptionHistorySchema):
    vendorClientId = ApiString()


class VendorSubscriptionSchema(ApplicationSubscriptionSchema):
    """The subscription that comes with an access token: without one it has the vendor client id alone."""

    subscriptionToken = ApiString()


class SubscriptionTokenInfoSchema(Schema):
    subscriptionToken = ApiString(required=True)
    activatedDateTime = ApiDate()
    expiryDateTime = ApiDate()
    expiredDateTime = ApiDate()
    cancellationDateTime = ApiDate()
    subscriptionStatus = ApiEnum(SUBSCRIPTION_STATUSES)


class AccountSubscriptionSchema(Schema):
    subscriptionTokens = fields.List(fields.Nested(SubscriptionTokenInfoSchema), required=True)
    applicationName = ApiString()
    applicationVersionId = ApiString()


class DeveloperAppVersionSchema(Schema):
    owner = ApiString(required=True)
    versionId = ApiInteger(is_long=True, required=True)
    version = ApiString(required=True)
    applicationKey = ApiString(required=True)
    delayData = ApiBoolean(required=True)
    subscriptionRequired = ApiBoolean(required=True)
    ownerManaged = ApiBoolean(required=True)
    active = ApiBoolean(required=True)
    vendorId = ApiString()
    vendorSecret = ApiString()


class DeveloperAppSchema(Schema):
    appName = ApiString(required=True)
    appId = ApiInteger(is_long=True, required=True)
    appVersions = fields.List(fields.Nested(DeveloperAppVersionSchema), required=True)


class AccountFundsResponseSchema(Schema):
    availableToBetBalance = ApiDouble()
    exposure = ApiDouble()
    retainedCommission = ApiDouble()
    exposureLimit = ApiDouble()
    discountRate = ApiDouble()
    pointsBalance = ApiInteger()
    wallet = ApiEnum(WALLETS)


class AccountDetailsResponseSchema(Schema):
    currencyCode = ApiString()
    firstName = ApiString()
    lastName = ApiString()
    localeCode = ApiString()
    region = ApiString()
    timezone = ApiString()
    discountRate = ApiDouble()
    pointsBalance = ApiInteger()
    countryCode = ApiString()


class CurrencyRateSchema(Schema):
    currencyCode = ApiString()
    rate = ApiDouble()


class AuthorisationResponseSchema(Schema):
    authorisationCode = ApiString(required=True)
    redirectUrl = ApiString(required=True)


class SubscriptionOptionsSchema(Schema):
    """A type of the source that none of its operations takes."""

    subscription_length = ApiInteger()
    subscription_token = ApiString()
    client_reference = ApiString()


class VendorAccessTokenInfoSchema(Schema):
    access_token = ApiString(required=True)
    token_type = ApiEnum(TOKEN_TYPES, required=True)
    expires_in = ApiInteger(is_long=True, required=True)
    refresh_token = ApiString(required=True)
    application_subscription = fields.Nested(VendorSubscriptionSchema, required=True)


class VendorDetailsSchema(Schema):
    appVersionId = ApiInteger(is_long=True, required=True)
    vendorName = ApiString(required=True)
    redirectUrl = ApiString()


class AffiliateRelationSchema(Schema):
    vendorClientId = ApiString(required=True)
    status = ApiEnum(AFFILIATE_STATUSES, required=True)


def is_id(text: str) -> bool:
    """Return whether a text can be the number of a row: up to 18 digits."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def instant_data(instant: datetime) -> str:
    """Return an instant for an answer: `2026-11-25T09:00:00.000Z`."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"
