"""Which statuses each call can answer, what they mean, and the envelopes that their bodies come in."""

from collections.abc import Iterator
from typing import Any

from wallet_hooks.bookies import routes as bookies
from wallet_hooks.customers import routes as customers
from wallet_hooks.limits import routes as limits
from wallet_hooks.openapi.fields import Json
from wallet_hooks.v1 import V1Route

Answers = Iterator[tuple[str, str]]
TRY_AGAIN = "A passing fault: nothing was done. Retry-After says when to try again."
_NO_LENGTH = ("411", "The body came without a length.")
_TOO_LARGE = ("413", "The body is too large.")
_TEXT: Json = {"type": "string"}


def _object(**properties: Any) -> Json:
    """An object of just these properties; one whose name ends in `_` may be missing."""
    return {
        "type": "object",
        "required": [name for name in properties if not name.endswith("_")],
        "properties": {name.rstrip("_"): schema for name, schema in properties.items()},
        "additionalProperties": False,
    }


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: dict[str, Json] = {
    "Done": _object(status={"const": "ok"}, data={}, next_={"type": ["integer", "null"]}),
    "Error": _object(status={"const": "error"}, code=_TEXT, data={"type": "object"}),
    "LimitsError": _object(errMsg=_TEXT, code=_TEXT),
    "LimitsTryAgain": _object(result=_TEXT),
    "ExportError": _object(error=_TEXT, message_=_TEXT),
    "Probe": _object(status=_TEXT),
}
DONE = 'Done: `{"status":"ok","data":…}`.'
V1_DONE, V1_ERROR, EXPORT_ERROR, PROBE = map(_reference, ("Done", "Error", "ExportError", "Probe"))
LIMITS_ERROR, LIMITS_TRY_AGAIN = map(_reference, ("LimitsError", "LimitsTryAgain"))


def of_callback(path: str) -> Answers:
    """The refusals of a callback."""
    yield "400", "Not JSON, the wrong shape, or an amount that is none. Nothing was done."
    yield "401", "No proof of who calls, or a bad one."
    yield "402", "Refused: `error` says why, and may be shown to the player."
    yield "403", "Not allowed from here, for this role, or for this brand and game."
    if path != "/bets":
        yield "404", "A bet that was never taken."
    yield "409", "The same id with other facts, or a step that can no longer be taken. Nothing moved for it."
    yield _NO_LENGTH
    yield _TOO_LARGE
    yield "415", "The body is not application/json in UTF-8."
    yield "503", TRY_AGAIN


def of_v1(route: V1Route) -> Answers:
    """The refusals of a call under /v1."""
    has_body = route.schema is not None and route.method != "GET"
    if route.schema is not None or route.tokens:
        yield "400", 'Refused: `{"status":"error","code":…,"data":{…}}`, and nothing was done.'
    yield "401", "No session or token, or one that is over; a wrong password."
    if not route.is_open:
        yield "403", "Not for this caller."
    if "<" in route.path:
        yield "404", "Not there, or not for this caller to know of."
    if has_body:
        yield _NO_LENGTH
        yield _TOO_LARGE
        yield "415", "Neither JSON nor a form in UTF-8."
    if route.view in _CROWDED:
        yield "429", "Too many of these at once. Retry-After says when to try again."
    if route.view is bookies.kick_balance:
        yield "502", "The bookmaker does not answer; the last balance stays."
    yield "503", TRY_AGAIN


# Passwords are hashed, and bookmakers asked, a few at a time.
_CROWDED = (customers.begin_session, customers.create_customer, customers.patch_customer, bookies.kick_balance)

LIMITS_REFUSED = (
    ("400", '`{"errMsg":"invalid input - …","code":…}`: nothing was done.'),
    ("401", "No session, or one that is over."),
    ("404", "Another version than v1."),
)
_SHOWN: Json = {"200": {"description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}}}
_UPDATED: Json = {"description": "Updated.", "content": {"application/json": {"schema": {"const": "Updated"}}}}
_DELETED: Json = {"204": {"description": "Deleted: the body was an object."}}
LIMITS_DONE: dict[Any, Json] = {
    limits.show_limits: _SHOWN,
    limits.calculate: _SHOWN,
    limits.update: {"202": _UPDATED},
    limits.swap: _SHOWN,
    limits.swap_or_delete: _SHOWN | _DELETED,
    limits.show_metadata: _SHOWN,
}

EXPORT_REFUSED = (
    ("400", '`{"error":…,"message":…}`: an unknown report or format, or a period that is none.'),
    ("401", "No API token."),
    ("403", "Not a token of finance, for all brands."),
    ("404", "No such customer."),
    ("503", TRY_AGAIN),
)
