"""Allow-lists of redaction: only the members of objects that are on a list are kept, each redacted by its function."""

from collections.abc import Callable, Mapping
from typing import Any

Redact = Callable[[Any], Any]

# Replaces a value that is not of the expected type.
_INVALID = "redacted"


def keep(value: Any) -> Any:
    return value


def only_listed(value: Any, allowed: Mapping[str, Redact]) -> dict[str, Any]:
    """Return the members of an object that are on the allow-list, redacted."""
    if not isinstance(value, Mapping):
        return {}
    return {name: redact(value[name]) for name, redact in allowed.items() if name in value}


def each_listed(allowed: Mapping[str, Redact]) -> Redact:
    """Return a function that redacts the objects of a list.

    What is no object, or no list, becomes a text that is as invalid there; null stays null.
    """

    def redact(items: Any) -> Any:
        if not isinstance(items, list | tuple):
            return None if items is None else _INVALID
        return [only_listed(item, allowed) if isinstance(item, Mapping) else _INVALID for item in items]

    return redact
