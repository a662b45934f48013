"""The types of the operations' results."""

from typing import Any

from marshmallow import Schema, fields

from wallet_hooks.accounts_api.field_types import (
    AFFILIATE_STATUSES,
    ITEM_CLASSES,
    SUBSCRIPTION_STATUSES,
    TOKEN_TYPES,
    ApiBoolean,
    ApiDate,
    ApiDouble,
    ApiEnum,
    ApiInteger,
    ApiString,
)
from wallet_hooks.ledger.chart import WALLETS

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
    itemDate = ApiDate(required=True)
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
    application_subscription = fields.Nested(ApplicationSubscriptionSchema, required=True)


class VendorDetailsSchema(Schema):
    appVersionId = ApiInteger(is_long=True, required=True)
    vendorName = ApiString(required=True)
    redirectUrl = ApiString()


class AffiliateRelationSchema(Schema):
    vendorClientId = ApiString(required=True)
    status = ApiEnum(AFFILIATE_STATUSES, required=True)
