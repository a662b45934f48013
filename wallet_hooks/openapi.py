"""What the service speaks, for programs (`/openapi.json`) and for people (`/docs`), from the routes' own schemas."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, jsonify, render_template

from wallet_hooks.bookies import routes as bookies
from wallet_hooks.cashier import routes as cashier
from wallet_hooks.customers import routes as customers
from wallet_hooks.customers.protocol import V1Route
from wallet_hooks.customers.schemas import Pair, Percent, Roles
from wallet_hooks.finance import routes as finance
from wallet_hooks.finance.exports import FORMATS
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.limits import routes as limits
from wallet_hooks.limits.schemas import CalculateShape
from wallet_hooks.sportsbook import customer_routes, schemas
from wallet_hooks.web.shapes import Amount, Anything, Identifier, Text, Truth, WholeNumber

_CALLBACKS = {
    "/bets": (schemas.PlaceBetsShape, "Take stakes: every bet of the request, or none of them."),
    "/winners": (schemas.SettleBetsShape, "Pay winnings: each bet by itself. A payout of 0 closes the bet too."),
    "/bets/cancel": (schemas.CancelBetsShape, "Give stakes back: each bet by itself, the amount that was taken."),
}
_ANSWERS = {
    "400": "Not JSON, the wrong shape, or an amount that is none. Nothing was done.",
    "401": "No proof of who calls, or a bad one.",
    "403": "Not allowed from here, for this role, or for this brand and game.",
    "402": "Refused: `error` says why, and may be shown to the player.",
    "409": "The same id with other facts, or a step that can no longer be taken. Nothing moved for it.",
    "411": "The body came without a length.",
    "413": "The body is too large.",
    "415": "The body is not application/json.",
    "503": "A passing fault: nothing was done. Retry-After says when to try again.",
}
_V1_ANSWERS = {
    "200": 'Done: `{"status":"ok","data":…}`.',
    "400": 'Refused: `{"status":"error","code":…,"data":{…}}`, and nothing was done.',
    "401": "No session or token, or one that is over.",
    "403": "Not for this caller.",
    "404": "Not there, or not for this caller to know of.",
    "415": "Neither JSON nor a form.",
    "429": "Too many of these at once. Retry-After says when to try again.",
}
_LIMIT_ANSWERS = {
    "200": "Done; 202 for an update, 204 for a deletion.",
    "400": '`{"errMsg":"invalid input - …","code":…}`: nothing was done.',
    "401": "No session, or one that is over.",
}
_EXPORT_ANSWERS = {
    "200": "The report.",
    "400": '`{"error":…,"message":…}`: an unknown report or format, or a period that is none.',
    "401": "No API token.",
    "403": "Not a token of finance, for all brands.",
    "404": "No such customer.",
}
_CONVERTER = re.compile(r"<(?:[^:>]*:)?(\w+)>")
_PROBES = {
    "/healthz": "The process is alive.",
    "/readyz": "The database is reachable and its migrations are current (503 where not).",
    "/metrics": "Metrics in Prometheus' text format.",
}


def blueprint() -> Blueprint:
    documents = Blueprint("openapi", __name__, template_folder="templates")

    @documents.get("/openapi.json")
    def openapi_json() -> Response:
        return jsonify(specification())

    @documents.get("/docs")
    def docs() -> Response:
        response = Response(render_template("docs.html", spec=specification()))
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return documents


@cache
def specification() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    plugin = MarshmallowPlugin()
    spec = APISpec("wallet-hooks", version("wallet-hooks"), "3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    plugin.converter.add_attribute_function(_describe_field)  # type: ignore[no-untyped-call]
    for name, scheme in _SECURITY.items():
        spec.components.security_scheme(name, scheme)
    for path, (shape, summary) in _CALLBACKS.items():
        spec.path(path, operations={"post": _callback(path, shape, summary)})
    for route in (*customers.ROUTES, *bookies.ROUTES, *cashier.ROUTES, *customer_routes.ROUTES):
        spec.path(_CONVERTER.sub(r"{\1}", route.path), operations={route.method.lower(): _call(route)})
    for method, path, view in limits.ROUTES:
        spec.path(
            _CONVERTER.sub(r"{\1}", f"{limits.PREFIX}v1{path}"), operations={method.lower(): _limit_call(path, view)}
        )
    spec.path(f"{finance.PREFIX}exports/{{report}}.{{format}}", operations={"get": _export()})
    for path, summary in _PROBES.items():
        answer = {"description": summary}
        spec.path(path, operations={"get": {"summary": summary, "responses": {"200": answer}}})
    document: dict[str, Any] = spec.to_dict()
    return document


_CALLBACK_PROOFS = ("scout-jwt", "basic", "hmac", "standard-webhooks")
_SECURITY = {
    "scout-jwt": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "<client> <JWT>",
        "description": "Three parts: `Bearer <client> <token>`; HS256 with exp, username, id or uid, and role.",
    },
    "basic": {"type": "http", "scheme": "basic"},
    "hmac": {"type": "apiKey", "in": "header", "name": "X-Signature"},
    "session": {"type": "apiKey", "in": "header", "name": "Session"},
    "x-auth-token": {"type": "apiKey", "in": "header", "name": "x-auth-token"},
    "api-token": {"type": "http", "scheme": "bearer", "description": "From `wallet-hooks token create`."},
    "standard-webhooks": {"type": "apiKey", "in": "header", "name": "webhook-signature"},
}


def _callback(path: str, shape: type, summary: str) -> dict[str, Any]:
    answers = {"200": {"description": "Done, or done before.", "content": _json(schemas.AcceptedShape)}}
    for status, description in _ANSWERS.items():
        answers[status] = {"description": description, "content": _json(schemas.ErrorShape)}
    if path != "/bets":
        answers["404"] = {"description": "A bet that was never taken.", "content": _json(schemas.ErrorShape)}
    return {
        "summary": summary,
        "operationId": path.strip("/").replace("/", "_"),
        "security": [{name: []} for name in _CALLBACK_PROOFS],
        "requestBody": {"required": True, "content": _json(shape)},
        "responses": dict(sorted(answers.items())),
    }


def _call(route: V1Route) -> dict[str, Any]:
    """A call under /v1: one envelope for all answers, whose `data` each call describes in its summary."""
    answers = {status: {"description": text} for status, text in _V1_ANSWERS.items()}
    if route.is_open:
        del answers["403"], answers["404"]
    names = _CONVERTER.findall(route.path)
    operation: dict[str, Any] = {
        "summary": " ".join((route.view.__doc__ or "").split()),
        "operationId": route.view.__name__,
        "tags": ["v1"],
        "parameters": _path_parameters(names),
        "responses": answers,
    }
    if not route.is_open:
        schemes = [] if route.only_tokens else ["session"]
        operation["security"] = [{name: []} for name in [*schemes, *(["api-token"] if route.tokens else [])]]
    if route.shape is not None and route.method == "GET":
        operation["parameters"].append({"in": "query", "schema": route.shape})
    elif route.shape is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.shape)}
    return operation


def _limit_call(path: str, view: Callable[..., Any]) -> dict[str, Any]:
    """A call of the limits gateway."""
    answers = {status: {"description": text} for status, text in _LIMIT_ANSWERS.items()}
    operation: dict[str, Any] = {
        "summary": " ".join((view.__doc__ or "").split()),
        "tags": ["limits"],
        "parameters": _path_parameters(_CONVERTER.findall(path)),
        "security": [{"x-auth-token": []}],
        "responses": answers,
    }
    if view is limits.calculate:
        operation["requestBody"] = {"required": True, "content": _json(CalculateShape)}
    return operation


def _export() -> dict[str, Any]:
    """The exports of finance."""
    parameters = [
        {"in": "path", "name": "report", "required": True, "schema": {"enum": list(REPORTS)}},
        {"in": "path", "name": "format", "required": True, "schema": {"enum": list(FORMATS)}},
        *(
            {"in": "query", "name": name, "required": False, "schema": {"type": "string"}}
            for name in finance.PARAMETERS
        ),
    ]
    return {
        "summary": "A report as a file, with its manifest in X-Export-Manifest; a statement is of one brand and uid.",
        "tags": ["finance"],
        "security": [{"api-token": []}],
        "parameters": parameters,
        "responses": {status: {"description": text} for status, text in _EXPORT_ANSWERS.items()},
    }


def _path_parameters(names: Iterable[str]) -> list[dict[str, Any]]:
    return [{"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in names]


def _json(shape: type) -> dict[str, Any]:
    return {"application/json": {"schema": shape}}


def _describe_field(_converter: Any, field: Any, **_kwargs: Any) -> dict[str, Any]:
    """The JSON Schema of the fields that are our own."""
    match field:
        case Identifier():
            return {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 64}, {"type": "integer", "minimum": 0}]}
        case Text():
            return {"type": "string", "minLength": field.min_length, "maxLength": field.max_length}
        case Amount():
            text = {"type": "string", "pattern": r"^\d{1,19}(\.\d{1,18})?$"}
            return {"oneOf": [text, {"type": "number", "minimum": 0}], "examples": ["10.00"]}
        case Pair():
            return {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number", "minimum": 0}]}
        case Percent():
            return {"type": "number", "minimum": 0, "maximum": 100}
        case Truth():
            return {"type": "boolean"}
        case WholeNumber():
            return {"type": "integer", "minimum": 0}
        case Roles():
            return {"type": "object", "additionalProperties": {"type": "boolean"}}
        case Anything():
            return {}
    return {}
