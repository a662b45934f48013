"""Checks of texts from outside."""

from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields

from wallet_hooks.errors import RefusedError

MAX_URL = 500


def is_storable(text: str) -> bool:
    """Return whether a database can store a text: it has no zero character and no half of a surrogate pair."""
    return "\0" not in text and text.encode(errors="ignore") == text.encode(errors="surrogatepass")


def is_whole_number(text: str, *, digits: int = 18) -> bool:
    """Return whether a text is a whole number of so many digits at most."""
    return text.isascii() and text.isdigit() and len(text) <= digits


def is_positive_number(text: str) -> bool:
    """Return whether a text is a whole number from 1 on, without zeros before it."""
    return is_whole_number(text) and not text.startswith("0")


def is_label(text: str) -> bool:
    """Return whether a text has printable characters only, and no white space at its ends."""
    return text.isprintable() and text == text.strip()


def is_web_url(text: str) -> bool:
    """Return whether a text is an http or https URL with a host, of up to MAX_URL characters."""
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is no number
        return False
    is_short = len(text) <= MAX_URL
    return is_short and has_host and parts.scheme in ("http", "https") and text.isprintable() and " " not in text


def read_field(field: fields.Field[Any], value: str, *, name: str) -> Any:
    """Read a text by a marshmallow field. Raises RefusedError (`bad_<name>`) with the field's message."""
    try:
        return field.deserialize(value)
    except ValidationError as error:
        raise RefusedError(f"bad_{name}", f"{name} {value[:100]!r}: {' '.join(map(str, error.messages))}") from None
