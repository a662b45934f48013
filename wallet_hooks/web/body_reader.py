"""Reads bodies by a marshmallow schema: msgspec decodes and validates the plain ones, marshmallow reads the others."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from marshmallow import Schema, fields, validate

from wallet_hooks import money
from wallet_hooks.web.fields import Absent, Amount, Anything, Identifier, Lenient, Text
from wallet_hooks.web.quick_reader import quick_reader
from wallet_hooks.web.strict_json import is_deep, read_json

# Control characters; escapes that may stand for them, for quotes or for halves of surrogate pairs; and -0, which would
# be read as 0.
_UNUSUAL = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\\(?:[^/u]|u00[0-9]|u[dD])|[\s\[:,]-0")
_BACKSLASH, _DELETE = b"\\\x7f"
# At the beginning or end of a string, in JSON without white space between its parts.
_SPACE_AT_ENDS = re.compile(r'"\s|\s"')
_AMOUNT = rf"\A(?a:{money.AMOUNT.pattern})\Z"
_WholeNumber = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_Like = Mapping[type[fields.Field[Any]], type[fields.Field[Any]]]

# The library's own reader of floats takes a thousand times as long for some of them.
_decode = msgspec.json.Decoder(float_hook=float).decode
_encode = msgspec.json.Encoder().encode


class _NotPlainError(Exception):
    """A body is invalid, or may be."""


def body_reader(schema: Schema, like: _Like = MappingProxyType({})) -> Callable[[bytes], Any]:
    """Return a function that reads a body as `schema.load(read_json(body))` does, in a fraction of its time.

    Ids and amounts that were sent as whole numbers may be ints, whose `str` is what was sent; fields of type Anything
    may be missing. `like` has a known type of field for each one that is not known here: it must accept nothing that
    the other refuses, and read what it accepts as the other does.

    The function raises InvalidJSONError and marshmallow's ValidationError.
    """
    plain_type = _object_type(schema, like)
    load = quick_reader(schema)

    def read(body: bytes) -> Any:
        try:
            return msgspec.convert(_decode_plain(body), plain_type)
        except (_NotPlainError, msgspec.ValidationError):
            return load(read_json(body))

    return read


def _decode_plain(body: bytes) -> Any:
    """Return the document of a body that `read_json` accepts and that has nothing unusual; numbers as Python's."""
    may_be_unusual = not body.isascii() or _BACKSLASH in body or _DELETE in body or body.find(b"-0") >= 0
    if may_be_unusual and _UNUSUAL.search(body):
        raise _NotPlainError
    try:
        document = _decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise _NotPlainError from None
    encoded = _encode(document)
    # No string has a quote in it. If a key was there twice, its first value and both quotes of the key are missing.
    if body.count(b'"') != encoded.count(b'"') or is_deep(body, document) or _has_space_at_ends(encoded):
        raise _NotPlainError
    return document


def _has_space_at_ends(encoded: bytes) -> bool:
    """Return whether a string of a document begins or ends with white space; control characters are not among it."""
    if encoded.isascii():
        return encoded.find(b'" ') >= 0 or encoded.find(b' "') >= 0
    return _SPACE_AT_ENDS.search(encoded.decode()) is not None


def _object_type(schema: Schema, like: _Like) -> Any:
    types = {}
    for name, field in schema.fields.items():
        if isinstance(field, Anything):
            continue  # the caller does not read it
        assert field.data_key is None, "fields are read by their names"
        kind = _type_of(field, like)
        kind = kind | None if field.allow_none else kind
        types[name] = kind if field.required else NotRequired[kind]
    return TypedDict(type(schema).__name__, types)  # type: ignore[operator]


def _type_of(field: fields.Field[Any], like: _Like) -> Any:
    """Return the type of a field's plain values. Raises KeyError if its own type is not known."""
    if isinstance(field, fields.Nested):
        return _object_type(field.schema, like)
    if isinstance(field, fields.List):
        (length,) = field.validators
        assert isinstance(length, validate.Length)
        return Annotated[list[_type_of(field.inner, like)], msgspec.Meta(min_length=length.min)]  # type: ignore[misc]
    assert not field.validators, "values are validated by their type alone"
    if isinstance(field, Lenient):
        return _type_of(field.inner, like)
    return _PLAIN_TYPES[like.get(type(field), type(field))](field)


def _text_type(field: Any) -> Any:
    return Annotated[str, msgspec.Meta(min_length=field.min_length, max_length=field.max_length)]


def _identifier_type(field: Any) -> Any:
    return _WholeNumber | _text_type(field)


# By the exact type of a field: a type derived from it reads its values in another way.
_PLAIN_TYPES: dict[type[fields.Field[Any]], Callable[[Any], Any]] = {
    Text: _text_type,
    Identifier: _identifier_type,
    Absent: lambda _: type(None),
    Amount: lambda _: _WholeNumber | Annotated[str, msgspec.Meta(pattern=_AMOUNT)],
}
