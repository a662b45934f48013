"""A strict JSON parser for untrusted input.

Numbers are returned as the text that was sent (`Number`), so that amounts never become floats and long integers cost no
time. Parsing is linear in the body's length.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

MAX_DEPTH = 32
_CONSTANTS = {None: "null", True: "true", False: "false"}


class InvalidJSONError(Exception):
    """The body is not acceptable JSON; the message says why and may be shown to the sender."""


class Number(str):
    """The text of a JSON number, as it was sent."""

    __slots__ = ()


def read_json(body: bytes) -> Any:
    """Parse UTF-8 JSON; a leading byte order mark is skipped.

    Raises InvalidJSONError for duplicate keys, NaN, Infinity, nesting over 32, and invalid JSON.
    """
    try:
        document = _decode(body.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError:
        raise InvalidJSONError("not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidJSONError(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InvalidJSONError("nested too deeply") from None
    if is_deep(body, document):
        raise InvalidJSONError("nested too deeply")
    return document


def write_json(document: Any) -> str:
    """Return what `read_json` read as JSON again, numbers exactly as they were sent."""
    kind = type(document)
    if kind is Number:
        return str(document)
    if kind is str:
        return encode_basestring_ascii(document)
    if kind is dict:
        members = [f"{encode_basestring_ascii(key)}:{write_json(value)}" for key, value in document.items()]
        return f"{{{','.join(members)}}}"
    if kind is list:
        return f"[{','.join(map(write_json, document))}]"
    return _CONSTANTS[document]


def is_deep(body: bytes, document: Any) -> bool:
    """Return whether a body's document is nested over MAX_DEPTH."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def object_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its members. Raises InvalidJSONError for a duplicate key."""
    read = dict(pairs)
    if len(read) != len(pairs):
        raise InvalidJSONError("duplicate key")
    return read


def _constant(name: str) -> None:
    raise InvalidJSONError(f"{name} is not JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=object_of, parse_int=Number, parse_float=Number, parse_constant=_constant
).decode
