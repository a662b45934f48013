"""Schemas of the customers' API (docs/protocols/customers.md). Amounts are JSON numbers, read and written exactly."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from marshmallow import ValidationError, fields, validate

from wallet_hooks import money
from wallet_hooks.customers.commission import Schedule, parse_percent, rate_on
from wallet_hooks.customers.login_lock import lock_reason
from wallet_hooks.customers.models import REQUIRED_ROLE, ROLES, CreditLimitChange, Customer
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.countries import COUNTRY_CODE
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.identity.passwords import MAX_PASSWORD
from wallet_hooks.text_checks import is_whole_number
from wallet_hooks.web.fields import (
    BaseSchema,
    Count,
    Day,
    Flag,
    Identifier,
    Ids,
    Instant,
    Label,
    Pair,
    StrictBoolean,
    Text,
    WholeNumber,
    currency_code,
)
from wallet_hooks.web.strict_json import Number

_PERMISSIONS = {
    "bet_placer": ("place_bets",),
    "group_spy": ("see_group_orders",),
    "trade_page_viewer": ("see_trade_page",),
    "detailed_accounting": ("see_detailed_accounting",),
    "account_viewer": ("see_bookie_usernames", "kick_balance"),
}


class Percent(fields.Field[str]):
    """A rate in percent: a JSON number from 0 to 100."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not Number:
            raise ValidationError("Not a number.")
        try:
            return parse_percent(value)
        except RefusedError as error:
            raise ValidationError(str(error)) from None


class Roles(fields.Field[dict[str, bool]]):
    """`{"customer": true, "bet_placer": false}`: each role that is assigned or removed."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> dict[str, bool]:
        if type(value) is not dict or not all(type(assigned) is bool for assigned in value.values()):
            raise ValidationError("An object of role names and booleans is expected.")
        if unknown := sorted(set(value) - set(ROLES)):
            raise ValidationError(f"Unknown role {unknown[0]!r}.")
        if value.get(REQUIRED_ROLE) is False:
            raise ValidationError(f"{REQUIRED_ROLE}: must be true.")
        return value


class ShortName(Text):
    """A username: 1 to 64 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=64, **kwargs)


class DisplayName(Text):
    """How a customer is shown; up to 200 characters."""


class LoginSchema(BaseSchema):
    username = Text(required=True, max_length=200)
    password = Text(required=True, max_length=MAX_PASSWORD)


class CommissionRateSchema(BaseSchema):
    date_from = Day(required=True, max_length=40)
    rate_pc = Percent(required=True)


class ChangedCustomerSchema(BaseSchema):
    """The fields of a customer that a manager can change."""

    username = ShortName()
    password = Text(max_length=MAX_PASSWORD)
    group_id = WholeNumber()
    name = DisplayName()
    roles = Roles()
    credit_limit = Pair()
    credit_limit_comment = Text(max_length=500)
    max_stake_per_event = Pair(allow_none=True)
    commission_rate = fields.Nested(CommissionRateSchema(unknown="raise"))
    active = StrictBoolean()
    locked = StrictBoolean()
    expires_at = Instant(allow_none=True, max_length=40)
    ccy_code = currency_code()


class NewCustomerSchema(ChangedCustomerSchema):
    """A new customer. `uid`, its id at the providers, is by default the username."""

    username = ShortName(required=True)
    password = Text(required=True, max_length=MAX_PASSWORD)
    group_id = WholeNumber(required=True)
    ccy_code = currency_code(required=True)
    uid = Identifier()


class ListSchema(BaseSchema):
    """With `limit`, one page: `next` of the answer is `after` of the next request."""

    last_login = Flag(load_default=True)
    inactive = Flag(load_default=True)
    permissions = Flag(load_default=False)
    customer_ids = Ids(max_length=4000)  # the server accepts no longer request line
    limit = Count()
    after = Count()


class GroupName(Label):
    """A group's name: 1 to 64 printable characters, no white space at the ends."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)


class NewGroupSchema(BaseSchema):
    name = GroupName(required=True)


class ManagerSchema(BaseSchema):
    username = ShortName(required=True)


class _DiscountRate(Text):
    """A rate of 0 to 100 percent."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        try:
            return parse_percent(super()._deserialize(value, attr, data, **kwargs))
        except RefusedError as error:
            raise ValidationError(str(error)) from None


class _Points(Text):
    """A whole number of points."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_whole_number(text, digits=9):
            raise ValidationError("A whole number of up to 9 digits is expected.")
        return int(text)


# The fields that commands and imports set, in this order; an empty text makes a field unknown.
PROFILE_FIELDS: dict[str, Text] = {
    "first_name": Text(max_length=100),
    "last_name": Text(max_length=100),
    "locale": Text(
        validate=validate.Regexp(rf"([a-z]{{2,3}}(_{COUNTRY_CODE})?)?\Z", error="A locale such as en_GB is expected.")
    ),
    "region": Text(max_length=100),
    "timezone": Text(
        validate=validate.OneOf({"", *available_timezones()}, error="Not a time zone of the IANA database.")
    ),
    "country": Text(
        validate=validate.Regexp(rf"({COUNTRY_CODE})?\Z", error="Two capital letters such as GB are expected.")
    ),
    "discount_rate": _DiscountRate(max_length=40),
    "points_balance": _Points(max_length=9),
}


def pair(minor: int, currency: str) -> list[Any]:
    """Return a money pair for an answer."""
    return [currency, money.as_decimal(minor, currency)]


def customer_data(
    customer: Customer, brand: BrandFacts, *, now: Any, last_login: bool = True, manages: bool | None = None
) -> dict[str, Any]:
    """Return a customer for an answer. `manages`: whether it manages a group; None leaves the permissions out."""
    stake = customer.max_stake_per_event
    roles, schedule = set(customer.roles), customer.commission_rates
    reason = lock_reason(customer, now=now)
    data: dict[str, Any] = {
        "id": customer.id,
        "uid": customer.uid,
        "username": customer.username,
        "name": customer.name,
        "group_id": customer.group_id,
        "ccy_code": customer.currency,
        "roles": {role: role in roles for role in ROLES},
        "credit_limit": pair(customer.credit_limit, customer.currency),
        "max_stake_per_event": None if stake is None else pair(stake, customer.currency),
        "commission_rate": _commission_rate(schedule, brand, now),
        "commission_rates": [_rate_data(rate) for rate in schedule],
        "active": customer.active,
        "locked": reason is not None,
        "lock_reason": reason,
        "expires_at": customer.expires_at.isoformat() if customer.expires_at else None,
    }
    if last_login:
        data["last_login"] = customer.last_login_at.isoformat() if customer.last_login_at else None
    if manages is not None:
        granted = [permission for role in ROLES if role in roles for permission in _PERMISSIONS.get(role, ())]
        data["permissions"] = [*granted, *(["manage_groups"] if manages else [])]
    return data


def credit_limit_data(change: CreditLimitChange) -> dict[str, Any]:
    return {
        "amount": money.as_decimal(change.amount, change.currency),
        "ccy_code": change.currency,
        "timestamp": change.changed_at.isoformat(),
        "comment": change.comment,
    }


def _commission_rate(schedule: Schedule, brand: BrandFacts, now: Any) -> dict[str, Any] | None:
    """Return the rate in force, or where none is in force yet, the first future one."""
    rate = rate_on(schedule, brand.booking_day(now)) or (schedule[0] if schedule else None)
    return _rate_data(rate) if rate else None


def _rate_data(rate: tuple[date, str]) -> dict[str, Any]:
    return {"date_from": rate[0].isoformat(), "rate_pc": Decimal(rate[1])}
