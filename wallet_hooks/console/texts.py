"""Texts from forms, parameters and paths, and the rows that paths name."""

import re
from typing import TypeVar

from sqlalchemy.orm import Session

from wallet_hooks.database import Base
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.text_checks import is_storable, is_whole_number
from wallet_hooks.web import forms
from wallet_hooks.web.api import ApiRequest
from wallet_hooks.web.forms import FORM
from wallet_hooks.web.requests import media_type
from wallet_hooks.web.strict_json import InvalidJSONError

Row = TypeVar("Row", bound=Base)
_FORM_CAP = 64 * 1024
# Control characters except line breaks and tabs, and those that change the direction of the text around them.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def read_form(request: ApiRequest) -> dict[str, str]:
    """Return the fields of a URL-encoded form; none of another body. Raises RejectedBodyError, RefusedError."""
    if media_type(request.environ) != FORM:
        return {}
    body = request.body(cap=_FORM_CAP, media_types=(FORM,))
    try:
        fields = forms.read_form(body)
    except InvalidJSONError:
        message = "the form is not URL-encoded UTF-8, has too many fields, or one of them twice"
        raise RefusedError("bad_form", message) from None
    return {name: checked(value) for name, value in fields.items()}


def checked(text: str) -> str:
    """Return a text that the database can store. Raises RefusedError for a zero character or half a surrogate pair."""
    if not is_storable(text):
        raise RefusedError("bad_text", "the text has a zero character, or is not valid Unicode")
    return text


def visible(text: str, name: str) -> str:
    """Return a text that shows what it says. Raises RefusedError."""
    if _UNSEEN.search(text):
        raise RefusedError("bad_field", f"{name}: control characters are not accepted")
    return text


def number(text: str, what: str) -> int:
    """Return a row's number from a path or parameter. Raises NotFoundError if it cannot be one."""
    if not is_whole_number(text, digits=19) or not 0 < int(text) < 2**63:
        raise NotFoundError(f"no {what} {text[:40]!r}")
    return int(text)


def row_of(session: Session, model: type[Row], text: str, what: str) -> Row:
    """Return the row whose number a path has. Raises NotFoundError."""
    found = session.get(model, number(text, what))
    if found is None:
        raise NotFoundError(f"no {what} {text}")
    return found
