"""JSON Schemas of our own marshmallow field types."""

from typing import Any

from wallet_hooks import money
from wallet_hooks.betslips.schemas import BetslipId, KeptText, PlainNumber, Price
from wallet_hooks.bookies.schemas import TagRuleSchema, TagRulesField
from wallet_hooks.customers.models import REQUIRED_ROLE, ROLES
from wallet_hooks.customers.schemas import Percent, Roles
from wallet_hooks.limits.rules import NO_LIMIT
from wallet_hooks.limits.schemas import NewAmount
from wallet_hooks.web.fields import (
    Absent,
    Amount,
    Count,
    Day,
    Flag,
    Identifier,
    Ids,
    Instant,
    Pair,
    StrictBoolean,
    Text,
    WholeNumber,
)

Json = dict[str, Any]
MAX_INTEGER = 10**18 - 1
_NO_OUTER_SPACE = r"^\S(.*\S)?$"
DATE: Json = {"type": "string", "format": "date"}


def describe_field(converter: Any, field: Any, **_kwargs: Any) -> Json:
    """Return the JSON Schema of a field; empty for marshmallow's field types, which apispec describes itself."""
    return {"type": "null"} if isinstance(field, Absent) else with_null(_schema_of(converter, field), field)


def with_null(schema: Json, field: Any) -> Json:
    """Return a field's schema, which accepts null if the field does; an empty one stays empty."""
    return {"anyOf": [schema, {"type": "null"}]} if schema and field.allow_none else schema


def _schema_of(converter: Any, field: Any) -> Json:
    match field:
        case TagRulesField():
            return {"type": "array", "items": converter.resolve_nested_schema(TagRuleSchema)}
        case Pair():
            return _PAIR
        case Percent():
            return {"type": "number", "minimum": 0, "maximum": 100}
        case Roles():
            return _ROLES
        case PlainNumber():
            return {"type": "number"} | ({"exclusiveMinimum": 0} if isinstance(field, Price) else {})
        case KeptText() | StrictBoolean() | WholeNumber():
            return _PLAIN[type(field)]
        case Amount():
            return {"oneOf": _amounts(field)}
        case Text():
            return _text(field)
    return {}


AMOUNT_PATTERN = rf"^{money.AMOUNT.pattern}$"


def _amounts(field: Amount) -> list[Json]:
    text: Json = {"type": "string", "pattern": AMOUNT_PATTERN, "examples": ["10.00"]}
    accepted = [text, _NUMBER]
    return [*accepted, {"const": NO_LIMIT}] if isinstance(field, NewAmount) else accepted


def _text(field: Text) -> Json:
    match field:
        case BetslipId():
            return _id_text(known=False)
        case Identifier():
            return {"oneOf": [_id_text(known=field.known), {"type": "integer", "minimum": 0}]}
        case Flag():
            return BOOLEAN
        case Count():
            return _INTEGER
        case Ids():
            return {"type": "string", "pattern": r"^\d{1,18}(,\d{1,18})*$", "maxLength": field.max_length}
        case Day():
            return DATE
        case Instant():
            return {"anyOf": [DATE, {"type": "string", "format": "date-time"}]}
    return {"type": "string", "minLength": field.min_length, "maxLength": field.max_length}


CURRENCY: Json = {"type": "string", "pattern": f"^{money.CURRENCY_CODE}$"}
_NUMBER: Json = {"type": "number", "minimum": 0}
_PAIR: Json = {
    "type": "array",
    "prefixItems": [CURRENCY, _NUMBER],
    "items": {"oneOf": [CURRENCY, _NUMBER]},  # for tools without support for prefixItems
    "minItems": 2,
    "maxItems": 2,
    "examples": [["EUR", 25.0]],
}
BOOLEAN: Json = {"type": "boolean"}
_ROLES: Json = {
    "type": "object",
    "propertyNames": {"enum": list(ROLES)},
    "properties": {REQUIRED_ROLE: {"const": True}},
    "additionalProperties": BOOLEAN,
}
_INTEGER: Json = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}

_PLAIN: dict[type, Json] = {KeptText: {"type": "string"}, StrictBoolean: BOOLEAN, WholeNumber: _INTEGER}


def _id_text(*, known: bool) -> Json:
    text: Json = {"type": "string", "minLength": 1, "maxLength": 64}
    return text if known else {**text, "pattern": _NO_OUTER_SPACE}
