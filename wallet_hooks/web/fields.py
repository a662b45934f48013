"""The marshmallow fields that several protocols share."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from wallet_hooks import clock, money
from wallet_hooks.text_checks import is_label, is_whole_number
from wallet_hooks.web.strict_json import Number

# Control characters, and halves of surrogate pairs, which JSON's \u escapes can contain.
UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DATE_LENGTH = len("2026-12-31")
_DIGITS = re.compile(r"\d+", re.ASCII)


class BaseSchema(Schema):
    """An object of a body. Unknown fields are ignored by default; bodies under `/v1` refuse them."""

    class Meta:
        unknown = EXCLUDE


class Text(fields.Field[str]):
    """A string without control characters."""

    def __init__(self, *, max_length: int = 200, min_length: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_length = max_length
        self.min_length = min_length

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError("Not a string.")
        if not self.min_length <= len(value) <= self.max_length:
            raise ValidationError(f"Length must be between {self.min_length} and {self.max_length}.")
        if not value.isalnum() and UNWANTED.search(value):  # the first is faster, and true for most
            raise ValidationError("Control characters are not allowed.")
        return value


class Identifier(Text):
    """An id, sent as a string or as a whole number: a string of 1 to 64 characters in either case.

    White space at its ends is refused, because other systems would trim it. With `known` it is accepted, for ids of
    existing rows: earlier versions accepted it.
    """

    def __init__(self, *, known: bool = False, **kwargs: Any) -> None:
        super().__init__(max_length=64, min_length=1, **kwargs)
        self.known = known

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is Number:
            if len(value) > self.max_length or not _DIGITS.fullmatch(value):
                raise ValidationError("Not an id.")
            return str(value)
        text = super()._deserialize(value, attr, data, **kwargs)
        if text != text.strip() and not self.known:
            raise ValidationError("White space at the beginning or end is not allowed.")
        return text


class Amount(fields.Field[str]):
    """A decimal amount, sent as a string or as a number: plain ASCII `digits[.digits]`, read as a string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) not in (str, Number) or not money.AMOUNT.fullmatch(value):
            raise ValidationError("Not an amount.")
        return str(value)


class WholeNumber(fields.Field[int]):
    """A whole number of up to 18 digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if type(value) is not Number or len(value) > 18 or not _DIGITS.fullmatch(value):
            raise ValidationError("Not a whole number.")
        return int(value)


class StrictBoolean(fields.Field[bool]):
    """JSON's `true` or `false`; no text or number."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError("Not a boolean.")
        return value


class Flag(Text):
    """`true` or `false` in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if value not in ("true", "false"):
            raise ValidationError('"true" or "false" is expected.')
        return value == "true"


class Instant(Text):
    """An ISO 8601 date or time: a `date`, or a `datetime` in UTC; a time without an offset is UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            if len(text) <= _DATE_LENGTH:
                return date.fromisoformat(text)
            return clock.parse_instant(text)
        except ValueError:
            raise ValidationError("Not an ISO 8601 date.") from None


class Day(Text):
    """An ISO 8601 date."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return datetime.fromisoformat(super()._deserialize(value, attr, data, **kwargs)).date()
        except ValueError:
            raise ValidationError("Not an ISO 8601 date.") from None


class BoundedList(fields.List[Any]):
    """A list of at most `most` elements, which are counted before any is read."""

    default_error_messages = {"too_long": "Longer than maximum length {most}."}  # noqa: RUF012 - marshmallow's

    def __init__(self, inner: fields.Field[Any], *, most: int, **kwargs: Any) -> None:
        super().__init__(inner, metadata={"maxItems": most}, **kwargs)
        self.most = most

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if type(value) is list and len(value) > self.most:
            raise self.make_error("too_long", most=self.most)
        return super()._deserialize(value, attr, data, **kwargs)


class Lenient(fields.Field[Any]):
    """A value that moves no money, so that an invalid one is no error: None where `inner` cannot read it."""

    def __init__(self, inner: fields.Field[Any], **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)
        self.inner = inner

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        try:
            return self.inner.deserialize(value, attr, data, **kwargs)
        except ValidationError:
            return None


class Anything(fields.Field[Any]):
    """A value of any type, which is not read."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        return value


class Absent(fields.Field[None]):
    """A field that must have no value, because a value shows that the body is for another endpoint.

    Raises ValidationError with the reason.
    """

    def __init__(self, reason: str, **kwargs: Any) -> None:
        super().__init__(allow_none=True, **kwargs)
        self.reason = reason

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> None:
        raise ValidationError(self.reason)


class Pair(fields.Field[tuple[str, int]]):
    """`["GBP", 15000.0]`: a currency and an amount, read as minor units.

    Up to 1e18 in major units, as for limits; with `moves`, up to the maximum of one movement of money.
    """

    rounding: str | None = None

    def __init__(self, *, moves: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum = money.MAX_AMOUNT if moves else None

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> tuple[str, int]:
        if type(value) is not list or len(value) != 2 or type(value[0]) is not str or type(value[1]) is not Number:
            raise ValidationError("A pair of a currency code and a number is expected.")
        try:
            return value[0], money.parse_number(value[1], value[0], maximum=self.maximum, rounding=self.rounding)
        except money.MoneyError as error:
            raise ValidationError(str(error)) from None


def currency_code(**kwargs: Any) -> Text:
    """Return the field of a currency's code; whether it is known is decided later."""
    return Text(min_length=3, max_length=6, **kwargs)


class NonBlankText(Text):
    """A string that is more than white space: 1 to 200 characters, or to `max_length`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text.strip():
            raise ValidationError("More than white space is expected.")
        return text


class Label(Text):
    """A name of 1 to 100 printable characters, or to `max_length`, without white space at its ends."""

    def __init__(self, *, max_length: int = 100, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=max_length, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_label(text):
            raise ValidationError("Printable characters are expected, no white space at the ends.")
        return text


LONGEST_REASON = 500  # characters


class Reason(NonBlankText):
    """Why staff change money or limits: 1 to 500 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST_REASON, **kwargs)


class Ids(Text):
    """Comma-separated ids."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        items = super()._deserialize(value, attr, data, **kwargs).split(",")
        if not all(map(is_whole_number, items)):
            raise ValidationError("Comma-separated ids are expected.")
        return [int(item) for item in items]


class Count(Text):
    """A whole number in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not is_whole_number(text):
            raise ValidationError("Not a whole number.")
        return int(text)
