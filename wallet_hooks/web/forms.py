"""Reads URL-encoded forms."""

from urllib.parse import parse_qsl

from wallet_hooks.web.strict_json import InvalidJSONError, object_of

FORM = "application/x-www-form-urlencoded"


def read_form(body: bytes, *, most_fields: int = 100) -> dict[str, str]:
    """Return a form's fields.

    Raises InvalidJSONError for text that is not URL-encoded UTF-8, for too many fields, and for a repeated one.
    """
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=most_fields, errors="strict")
    except ValueError:
        raise InvalidJSONError("not a form") from None
    return object_of(pairs)
