"""Formats PostgreSQL array literals, so that a column of a set of rows is sent as one parameter."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

_NUMBERS = frozenset({"smallint", "integer", "bigint"})


def array_literals(kinds: Sequence[str], columns: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the columns of a set of rows for `unnest`; `kinds` are PostgreSQL's names of their types.

    `unnest` fills a shorter column with NULL, so one without a value is sent empty. The first one tells the number of
    rows.
    """
    for number, (kind, column) in enumerate(zip(kinds, columns, strict=True)):
        has_values = number == 0 or column[0] is not None or column.count(None) < len(column)
        yield array_literal(kind, column) if has_values else "{}"


def array_literal(kind: str, column: Sequence[Any]) -> str:
    """Return the values of a column as an array literal; `kind` is PostgreSQL's name of their type.

    Columns of one repeated value, of numbers only or of plain text are the most frequent and have a fast path.
    """
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
