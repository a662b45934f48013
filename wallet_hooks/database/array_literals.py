"""Formats PostgreSQL arrays, so that a column of a set of rows is sent as one parameter.

They are sent as text. A JSON array differs from an array literal by its brackets, and by the escapes of control
characters: msgspec writes it in a fifth of the time that Python needs. Only bytes are sent in PostgreSQL's binary
format: as text they are twice as long, and PostgreSQL reads arrays character by character.
"""

import json
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

# Values of derived types are sent as their texts.
_encode = msgspec.json.Encoder(enc_hook=str).encode
_OID_OF_BYTES = 17
_NULL = struct.pack("!i", -1)
_BACKSLASH = ord("\\")
# It may also be an escaped backslash before another character; then Python writes the same literal.
_ESCAPED_CONTROL = re.compile(rb'\\[^"\\]')


def array_literals(kinds: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    """Yield the columns of a set of rows for `unnest`; `kinds` are PostgreSQL's names of their types.

    `unnest` fills a shorter column with NULL, so one without a value is sent empty. The first one tells the number of
    rows.
    """
    for number, (kind, column) in enumerate(zip(kinds, columns, strict=True)):
        has_values = number == 0 or column[0] is not None or column.count(None) < len(column)
        values = column if has_values else ()
        yield _binary_array(values) if is_binary(kind) else _array_literal(kind, values)


def is_binary(kind: str) -> bool:
    """Return whether arrays of a type are sent in PostgreSQL's binary format."""
    return kind == "bytea"


def _binary_array(values: Sequence[bytes | None]) -> bytes:
    """Return an array of bytes: its dimensions, whether it has NULL, its type, its size and first index, its values."""
    parts = [struct.pack("!5i", 1, None in values, _OID_OF_BYTES, len(values), 1)]
    for value in values:
        parts += (_NULL,) if value is None else (struct.pack("!i", len(value)), value)
    return b"".join(parts)


def _array_literal(kind: str, column: Sequence[Any]) -> bytes:
    """Return the values of a column as an array literal; `kind` is PostgreSQL's name of their type."""
    if kind == "json":
        column = [None if value is None else json.dumps(value) for value in column]
    array = _encode(column)
    if _BACKSLASH in array and _ESCAPED_CONTROL.search(array):
        return f"{{{','.join('NULL' if text is None else _quoted(text) for text in column)}}}".encode()
    return b"{" + array[1:-1] + b"}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
