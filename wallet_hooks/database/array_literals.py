"""Formats PostgreSQL array literals, so that a column of a set of rows is sent as one parameter."""

import json
from collections.abc import Sequence
from typing import Any

_NUMBERS = frozenset({"smallint", "integer", "bigint"})


def array_literal(kind: str, column: Sequence[Any]) -> str:
    """Return the values of a column as an array literal; `kind` is PostgreSQL's name of their type.

    Columns of one repeated value, of numbers only or of plain text are the most frequent and have a fast path.
    """
    if not column:
        return "{}"
    first = column[0]
    if column.count(first) == len(column):
        return "{" + ",".join([_element(kind, first)] * len(column)) + "}"
    if kind in _NUMBERS:
        return "{" + ",".join(map(str, column)).replace("None", "NULL") + "}"
    if kind == "text" and None not in column:
        joined = '","'.join(column)
        if "\\" not in joined and joined.count('"') == 2 * (len(column) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join([_element(kind, value) for value in column]) + "}"


def _element(kind: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if kind == "json":
        kind, value = "text", json.dumps(value)
    if kind == "text":
        escaped: str = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if kind == "bytea":
        return f'"\\\\x{value.hex()}"'
    return f'"{value.isoformat()}"' if kind == "timestamptz" else str(value)
