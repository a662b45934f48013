"""OpenAPI responses: the statuses of each call, their meanings, and the schemas of their bodies."""

from collections.abc import Iterable, Iterator
from typing import Any

from wallet_hooks.bookies import routes as bookies
from wallet_hooks.limits import routes as limits
from wallet_hooks.openapi.fields import Json
from wallet_hooks.sportsbook.messages import BETS_PATH
from wallet_hooks.v1 import V1Route

Responses = Iterator[tuple[str, str]]
TOO_MANY_GUESSES = "Too many unknown tokens from this address. Retry after the seconds in Retry-After."
TRY_AGAIN = "Transient fault: not known to be done. Retry after the seconds in Retry-After."
_NO_LENGTH = ("411", "The request has no Content-Length.")
_TOO_LARGE = ("413", "The body is too large.")
_TEXT: Json = {"type": "string"}


def _object(**properties: Any) -> Json:
    """Return the schema of an object with exactly these properties; one whose name ends in `_` is optional."""
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
DONE = 'Success: `{"status":"ok","data":…}`.'
V1_DONE_SCHEMA, V1_ERROR_SCHEMA, EXPORT_ERROR_SCHEMA, PROBE_SCHEMA = map(
    _reference, ("Done", "Error", "ExportError", "Probe")
)
LIMITS_ERROR_SCHEMA, LIMITS_TRY_AGAIN_SCHEMA = map(_reference, ("LimitsError", "LimitsTryAgain"))


def content(schema: Any) -> Json:
    """Return the content of a JSON body."""
    return {"application/json": {"schema": schema}}


def response(description: str, schema: Any) -> Json:
    return {"description": description, "content": content(schema)}


def described(descriptions: Iterable[tuple[str, str]], schema: Any) -> Json:
    """Return responses with one schema, from pairs of status and description."""
    return {status: response(description, schema) for status, description in descriptions}


def callback_errors(path: str) -> Responses:
    """Yield status and description of the errors of a callback."""
    yield "400", "Not JSON, a schema violation, or an invalid amount. Nothing was done."
    yield "401", "Authentication is missing or invalid."
    yield "402", "Refused: `error` is the reason and may be shown to the customer."
    yield "403", "Source address, role, or brand and game not allowed."
    if path != BETS_PATH:
        yield "404", "Unknown bet."
    yield (
        "409",
        "Conflict: the same id with other facts, or not allowed in the bet's state. Nothing moved for this bet.",
    )
    yield _NO_LENGTH
    yield _TOO_LARGE
    yield "415", "The body is not application/json in UTF-8."
    yield "503", TRY_AGAIN


def v1_errors(route: V1Route) -> Responses:
    """Yield status and description of the errors of a call under /v1."""
    has_body = route.schema is not None and route.method != "GET"
    if route.schema is not None or route.tokens:
        yield "400", 'Refused: `{"status":"error","code":…,"data":{…}}`. Nothing was done.'
    yield "401", "Login or token missing, invalid or expired; or a wrong password."
    if not route.is_open:
        yield "403", "Not allowed for this caller."
    if "<" in route.path:
        yield "404", "Not found, or not visible to this caller."
    if has_body:
        yield _NO_LENGTH
        yield _TOO_LARGE
        yield "415", "The body is neither JSON nor a form, in UTF-8."
    yield (
        "429",
        "Too many concurrent calls, or unknown tokens from this address; Retry-After has the seconds.",
    )
    if route.view is bookies.kick_balance:
        yield "502", "The bookmaker did not return a valid balance; the last known balance stays."
    yield "503", TRY_AGAIN


LIMITS_ERRORS = (
    ("400", '`{"errMsg":"invalid input - …","code":…}`: nothing was done.'),
    ("401", "Login missing or expired."),
    ("404", "Unknown API version; expected v1."),
    ("429", TOO_MANY_GUESSES),
    ("500", "An unexpected error."),
)
_OBJECT: Json = {"200": {"description": "Success.", "content": {"application/json": {"schema": {"type": "object"}}}}}
_UPDATED: Json = {"description": "Updated.", "content": {"application/json": {"schema": {"const": "Updated"}}}}
_DELETED: Json = {"204": {"description": "Deleted: the answer to a body that is an object."}}
LIMITS_SUCCESS: dict[Any, Json] = {
    limits.show_limits: _OBJECT,
    limits.calculate: _OBJECT,
    limits.update: {"202": _UPDATED},
    limits.swap: _OBJECT,
    limits.swap_or_delete: _OBJECT | _DELETED,
    limits.show_metadata: _OBJECT,
}

EXPORT_ERRORS = (
    ("400", '`{"error":…,"message":…}`: an unknown report or format, or an invalid period.'),
    ("401", "API token missing or invalid."),
    ("403", "Not an API token of role finance for all brands."),
    ("404", "No such customer."),
    ("429", TOO_MANY_GUESSES),
    ("503", TRY_AGAIN),
)
