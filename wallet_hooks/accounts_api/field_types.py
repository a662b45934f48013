"""The simple types and enumerations of the source.

Amounts are JSON numbers in major units, read and written exactly. Instants are `2026-11-25T09:00:00.000Z`. As in the
vendor's framework, a string may hold a number: some clients send amounts and counts so.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields

from wallet_hooks import clock
from wallet_hooks.web.fields import UNWANTED
from wallet_hooks.web.strict_json import Number

INCLUDE_ITEMS = ("ALL", "EXCHANGE", "POKER_ROOM", "DEPOSITS_WITHDRAWALS")
GRANT_TYPES = ("AUTHORIZATION_CODE", "REFRESH_TOKEN")
SUBSCRIPTION_STATUSES = ("ALL", "ACTIVATED", "UNACTIVATED", "CANCELLED", "EXPIRED")
STATUSES = ("SUCCESS",)
ITEM_CLASSES = ("UNKNOWN",)
TOKEN_TYPES = ("BEARER",)
AFFILIATE_STATUSES = ("INVALID_USER", "AFFILIATED", "NOT_AFFILIATED")

_MAX_TEXT = 1000
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"(-?\d{1,19})(\.0+)?", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII | re.IGNORECASE
)
_INT_MAX = 2**31 - 1
_LONG_MAX = 2**63 - 1
WRONG_TYPE = "wrong type"
INVALID_VALUE = "invalid value"


class ApiString(fields.Field[str]):
    """A string; control characters and more than 1,000 characters are INVALID_INPUT_DATA."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError(WRONG_TYPE)
        if len(value) > _MAX_TEXT or UNWANTED.search(value):
            raise ValidationError(INVALID_VALUE)
        return value


class ClientReference(ApiString):
    """A string of any length: the operation has an error code for those that it does not take."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError(WRONG_TYPE)
        return value


class ApiInteger(fields.Field[int]):
    """The source's int (32 bits) or, with `is_long`, its long (64 bits): a number without a fraction."""

    def __init__(self, *, is_long: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum = _LONG_MAX if is_long else _INT_MAX

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        match = _INTEGER.fullmatch(_number(value))
        if match is None:
            raise ValidationError(WRONG_TYPE)
        number = int(match[1])
        if not -self.maximum - 1 <= number <= self.maximum:
            raise ValidationError(WRONG_TYPE)
        return number


class ApiDouble(fields.Field[Number]):
    """The source's double: kept as the text that was sent, so that it is read exactly."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Number:
        return _number(value)


class ApiDate(fields.Field[datetime]):
    """An ISO 8601 instant; without an offset it is UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> datetime:
        if type(value) is not str or not _INSTANT.fullmatch(value):
            raise ValidationError(WRONG_TYPE)
        try:
            return clock.parse_instant(value.upper())
        except ValueError:
            raise ValidationError(WRONG_TYPE) from None


class ApiBoolean(fields.Boolean):
    """A JSON boolean."""


class ApiEnum(fields.Field[str]):
    """One of the source's enumeration values, in its spelling."""

    def __init__(self, values: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = values

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str or value not in self.values:
            raise ValidationError(WRONG_TYPE)
        return value


def _number(value: Any) -> Number:
    """Return a number, or the one that a string holds. Raises ValidationError."""
    if type(value) is Number:
        return value
    if type(value) is not str or not _NUMBER.fullmatch(value.strip()):
        raise ValidationError(WRONG_TYPE)
    return Number(value.strip())


def instant_data(instant: datetime) -> str:
    """Return an instant for an answer: `2026-11-25T09:00:00.000Z`."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{instant.microsecond // 1000:03}Z"
