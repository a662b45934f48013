"""Schemas of the messages (docs/protocols/betslips.md), and the reading of a request's body into messages."""

import re
from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields

from wallet_hooks.betslips.messages import BETSLIP, CLOSED, FAILED, PMM, SUCCESS, BadMessage, Message, message_of
from wallet_hooks.web.fields import Amount, BaseSchema, BoundedList, Count, Identifier, Pair, StrictBoolean, Text
from wallet_hooks.web.quick_reader import quick_reader
from wallet_hooks.web.strict_json import Number

MAX_MESSAGES = 1000
_LONGEST_INSTANT = 40
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,25})?([eE][+-]?\d{1,2})?", re.ASCII)
# Powers of ten of the first digit: a double is written with an exponent where it has more digits or zeros than this.
_SMALLEST, _LARGEST = -25, 27


class PlainNumber(fields.Field[Decimal]):
    """A JSON number of up to 18 digits and 25 decimals, which hold every double, read exactly."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Decimal:
        if type(value) is not Number or not _NUMBER.fullmatch(value):
            raise ValidationError("Not a number.")
        number = Decimal(value)
        if number and not _SMALLEST <= number.adjusted() <= _LARGEST:
            raise ValidationError("Not a number of up to 28 digits and 25 decimals.")
        return number


class BetslipId(Identifier):
    """A betslip's id, as a bet names it; the platform sends it as a string."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError("Not a string.")
        return super()._deserialize(value, attr, data, **kwargs)


class _FrameInstant(PlainNumber):
    """The instant of a frame, which is stored as it is."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Decimal:
        instant = super()._deserialize(value, attr, data, **kwargs)
        if len(str(instant)) > _LONGEST_INSTANT:
            raise ValidationError(f"At most {_LONGEST_INSTANT} characters are expected.")
        return instant


class Price(PlainNumber):
    """A decimal price above 0."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Decimal:
        price = super()._deserialize(value, attr, data, **kwargs)
        if price <= 0:
            raise ValidationError("A price above 0 is expected.")
        return price


class KeptText(fields.Field[str]):
    """A string that is kept and shown as it is, and decides nothing: only its type is checked."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        if type(value) is not str:
            raise ValidationError("Not a string.")
        return value


class _MessageSchema(Schema):
    """Unknown fields are kept."""

    class Meta:
        unknown = INCLUDE

    betslip_id = BetslipId(required=True)


class BetslipSchema(_MessageSchema):
    """A betslip was opened or updated."""

    sport = KeptText(allow_none=True)
    event_id = KeptText(allow_none=True)
    bet_type = KeptText(allow_none=True)
    customer_username = KeptText(allow_none=True)
    is_open = StrictBoolean(allow_none=True)
    expiry_ts = PlainNumber(allow_none=True)
    close_reason = KeptText(allow_none=True)
    accounts = fields.List(fields.Raw(allow_none=True), allow_none=True)
    equivalent_bets = fields.Raw(allow_none=True)


class StakeBoundField(Pair):
    """A smallest or largest stake, with any number of decimals: bounds are rounded to the currency's (`bounds.py`)."""

    rounding = ROUND_FLOOR


class OfferSchema(Schema):
    """A price with the smallest and the largest stake."""

    class Meta:
        unknown = INCLUDE

    price = Price(required=True)
    min = StakeBoundField(required=True)
    max = StakeBoundField(required=True)


def _has_one_currency(offer: Mapping[str, Any]) -> None:
    if offer["min"][0] != offer["max"][0]:
        raise ValidationError("min and max must have one currency.")


class PriceListEntrySchema(Schema):
    """The bookmaker's offer, and the effective one after commission and fees."""

    class Meta:
        unknown = INCLUDE

    bookie = fields.Nested(OfferSchema, validate=_has_one_currency, allow_none=True)
    effective = fields.Nested(OfferSchema, required=True, validate=_has_one_currency)


class StatusSchema(Schema):
    """The result of asking a bookmaker; a failed one has a reason."""

    class Meta:
        unknown = INCLUDE

    code = Text(required=True, min_length=1, max_length=64)
    reason = fields.Raw(allow_none=True)


def _has_reason(status: Mapping[str, Any]) -> None:
    if status["code"] == FAILED and not status.get("reason"):
        raise ValidationError("A failed status needs a reason.")


class PmmSchema(_MessageSchema):
    """A bookmaker account returned prices with smallest and largest stakes."""

    sport = KeptText(allow_none=True)
    event_id = KeptText(allow_none=True)
    bookie = Text(required=True, min_length=1, max_length=64)
    username = Text(required=True, min_length=1, max_length=100)
    bet_type = KeptText(allow_none=True)
    status = fields.Nested(StatusSchema, required=True, validate=_has_reason)
    price_list = BoundedList(fields.Nested(PriceListEntrySchema), most=100, allow_none=True)


class _UnpricedSchema(PmmSchema):
    """The message of an account without success, whose prices decide nothing."""

    price_list: Any = fields.Raw(allow_none=True)


class ClosedSchema(_MessageSchema):
    """A betslip was closed."""

    close_reason = KeptText(allow_none=True)


_CHECKS = {BETSLIP: quick_reader(BetslipSchema()), PMM: quick_reader(PmmSchema()), CLOSED: quick_reader(ClosedSchema())}
_check_unpriced = quick_reader(_UnpricedSchema())


def read_messages(document: Any, *, most: int = MAX_MESSAGES) -> tuple[list[Message], list[BadMessage]]:
    """Read a request's body: one message `["pmm", {…}]`, an array of them, or a frame `{"ts":…, "data":[…]}`.

    Return the messages of known types in their order, and the bad ones by their index. Messages of unknown types are
    in neither. Raises ValidationError where the body is none of the three.
    """
    ts = None
    if type(document) is dict:
        if type(document.get("data")) is not list:
            raise ValidationError({"data": ["A list of messages is expected."]})
        ts = _read_ts(document.get("ts"))
        document = document["data"]
    elif type(document) is list and document and type(document[0]) is str:
        document = [document]
    if type(document) is not list or not 0 < len(document) <= most:
        raise ValidationError({"_body": [f"1 to {most} messages are expected."]})
    found, bad = [], []
    for index, member in enumerate(document):
        try:
            message = _read_message(member, ts)
        except ValidationError as error:
            bad.append(BadMessage(index, error.normalized_messages()))  # type: ignore[no-untyped-call]
        else:
            found += [] if message is None else [message]
    return found, bad


def _read_ts(value: Any) -> Decimal | None:
    try:
        return None if value is None else _FrameInstant().deserialize(value)
    except ValidationError as error:
        raise ValidationError({"ts": error.messages}) from None


def _read_message(member: Any, ts: Decimal | None) -> Message | None:
    is_message = type(member) is list and len(member) == 2 and type(member[0]) is str and type(member[1]) is dict
    if not is_message:
        raise ValidationError({"_message": ['A pair such as ["pmm", {…}] is expected.']})
    type_, body = member
    check = _CHECKS.get(type_)
    if check is None:
        return None
    if type_ == PMM and type(body.get("status")) is dict and body["status"].get("code") != SUCCESS:
        check = _check_unpriced
    check(body)
    return message_of(type_, ts, body)


class BetslipListSchema(BaseSchema):
    """`next` of an answer is `before` of the next request."""

    limit = Count()
    before = Count()


class BetslipStakeSchema(BaseSchema):
    """The stake in the currency of the prices, for which the best one is shown."""

    stake = Amount()


class StreamSchema(BaseSchema):
    """The token of a login session, and the `seq` of the last frame that the client has."""

    token = Text(load_default="")
    since = Count()
