"""The OpenAPI document: all calls of all APIs, with parameters, bodies and responses."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from prometheus_client import CONTENT_TYPE_LATEST

from wallet_hooks import money
from wallet_hooks.accounts_api import vendor_routes
from wallet_hooks.betslips import routes as betslips
from wallet_hooks.bookies import routes as bookies
from wallet_hooks.cashier import routes as cashier
from wallet_hooks.cashier.schemas import Reference
from wallet_hooks.customers import routes as customers
from wallet_hooks.finance import routes as finance
from wallet_hooks.finance.exports import FORMATS
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.limits import routes as limits
from wallet_hooks.limits.schemas import CalculateSchema
from wallet_hooks.openapi import account_api, responses
from wallet_hooks.openapi.betslips import paths as betslip_paths
from wallet_hooks.openapi.fields import BOOLEAN, CURRENCY, DATE, MAX_INTEGER, Json, describe_field
from wallet_hooks.openapi.links import add_links
from wallet_hooks.sportsbook import customer_routes, schemas
from wallet_hooks.sportsbook.messages import BETS_PATH, CANCEL_PATH, WINNERS_PATH
from wallet_hooks.v1 import V1Route

_CALLBACKS = {
    BETS_PATH: (schemas.PlaceBetsSchema, "Take stakes: all bets of the request, or none."),
    WINNERS_PATH: (schemas.SettleBetsSchema, "Settle bets, each independently. A payout of 0 settles the bet too."),
    CANCEL_PATH: (schemas.CancelBetsSchema, "Return stakes, each bet independently: the amount that was taken."),
}
_V1_ROUTES = (
    *customers.ROUTES,
    *bookies.ROUTES,
    *cashier.ROUTES,
    *betslips.ROUTES,
    *customer_routes.ROUTES,
    *vendor_routes.ROUTES,
)
_CALLBACK_AUTHENTICATIONS = tuple(name for name in AUTHENTICATIONS if name != "none")
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
_CONVERTER = re.compile(r"<(?:(int)[^:>]*:)?(\w+)>")
_TEXT: Json = {"type": "string", "minLength": 1}
_ID: Json = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_POSITIVE_INTEGER: Json = {"type": "integer", "minimum": 1, "maximum": MAX_INTEGER}
_IDEMPOTENCY_KEY: Json = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": Reference().max_length, "pattern": "^[!-~]+$"},
}
_EXPORT_PARAMETERS: dict[str, Json] = {
    "from": DATE,
    "to": DATE,
    "brand": _TEXT,
    "uid": _TEXT,
    "limit": _POSITIVE_INTEGER,
    "item": _POSITIVE_INTEGER,
    "balance": {"type": "string", "pattern": rf"^-?{money.AMOUNT.pattern}$"},
    "bom": BOOLEAN,
    "currency": CURRENCY,
    "part": _POSITIVE_INTEGER,
}
# A quote as `calculate` answered it; `update` needs only the documented members (docs/protocols/limits.md).
_QUOTED: Json = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("effective_of", "time_frame", "amount", "amount_left")},
}
_UPDATE: Json = {
    "type": "object",
    "required": ["uuid"],
    "description": "The answer of calculate, with the uuid of its request.",
    "properties": {
        "uuid": {"oneOf": [{"type": "string", "minLength": 1, "maxLength": 64}, {"type": "integer", "minimum": 0}]},
        **dict.fromkeys(("bet", "loss", "deposit", "time_limit"), _QUOTED),
        "reality_check": {"type": "string"},
    },
}
_ROW_ID: Json = {"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}]}
_ROW_IDS: Json = {"type": "array", "items": _ROW_ID, "minItems": 1, "maxItems": 100}
_DELETE: Json = {
    "type": "object",
    "required": ["row_id"],
    "properties": {"row_id": {"oneOf": [_ROW_IDS, {"type": "string", "minLength": 1}]}},
    "additionalProperties": False,
}
_LIMIT_BODIES: dict[Any, Any] = {
    limits.calculate: CalculateSchema,
    limits.update: _UPDATE,
    limits.swap: _ROW_IDS,
    limits.swap_or_delete: {"oneOf": [_ROW_IDS, _DELETE]},
}


@cache
def specification() -> Json:
    """Return the OpenAPI 3.1 document."""
    plugin = MarshmallowPlugin()
    spec = APISpec("wallet-hooks", version("wallet-hooks"), "3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    for describe in (describe_field, account_api.describe_field):
        plugin.converter.add_attribute_function(describe)  # type: ignore[no-untyped-call]
    for name, scheme in {**_SECURITY, **account_api.SECURITY}.items():
        spec.components.security_scheme(name, scheme)
    for name, schema in responses.SCHEMAS.items():
        spec.components.schema(name, schema)
    for path, (body, summary) in _CALLBACKS.items():
        spec.path(path, operations={"post": _callback(path, body, summary)})
    spec.components.schema("AccountsError", account_api.ERROR)
    betslip_calls = betslip_paths(plugin.converter, _CALLBACK_AUTHENTICATIONS)
    for path, operations in {**account_api.paths(plugin.converter), **betslip_calls}.items():
        spec.path(path, operations=operations)
    ignoring_more = set(spec.components.schemas)
    for route in _V1_ROUTES:
        spec.path(_path(route.path), operations={route.method.lower(): _call(route)})
    for method, path, view in limits.ROUTES:
        operation = _limit_call(path, view)
        spec.path(_path(f"{limits.PREFIX}v1{path}"), operations={method.lower(): operation})
    spec.path(f"{finance.PREFIX}exports/{{report}}.{{format}}", operations={"get": _export()})
    for path, operation in _PROBES.items():
        spec.path(path, operations={"get": operation})
    for name in set(spec.components.schemas) - ignoring_more:  # the other APIs refuse unknown fields
        spec.components.schemas[name]["additionalProperties"] = False
    document: Json = spec.to_dict()
    add_links(document["paths"])
    return document


def _callback(path: str, schema: type, summary: str) -> Json:
    return {
        "summary": summary,
        "operationId": path.strip("/").replace("/", "_"),
        "tags": ["callbacks"],
        "security": [{name: []} for name in _CALLBACK_AUTHENTICATIONS],
        "requestBody": {"required": True, "content": responses.content(schema)},
        "responses": {
            "200": responses.response(
                "Success, or a repetition of an earlier success.", schemas.CallbackAcceptedSchema
            ),
            **responses.described(responses.callback_errors(path), schemas.CallbackErrorSchema),
        },
    }


def _call(route: V1Route) -> Json:
    """Return the operation of a call under /v1. All have the same envelope; the summary describes its `data`."""
    operation: Json = {
        "summary": " ".join((route.view.__doc__ or "").split()),
        "operationId": route.view.__name__,
        "tags": ["v1"],
        "parameters": _path_parameters(route.path),
        "responses": {
            "200": responses.response(responses.DONE, responses.V1_DONE_SCHEMA),
            **responses.described(responses.v1_errors(route), responses.V1_ERROR_SCHEMA),
        },
    }
    if not route.is_open:
        schemes = [] if route.only_tokens else ["session"]
        operation["security"] = [{name: []} for name in [*schemes, *(["api-token"] if route.tokens else [])]]
    if route.view in (cashier.deposit, cashier.withdraw, cashier.adjust):
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if route.schema is not None and route.method == "GET":
        operation["parameters"].append({"in": "query", "schema": route.schema})
    elif route.schema is not None:
        content = responses.content(route.schema)
        content["application/x-www-form-urlencoded"] = content["application/json"]
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _limit_call(path: str, view: Any) -> Json:
    """Return the operation of a call of the limits gateway."""
    operation: Json = {
        "summary": " ".join((view.__doc__ or "").split()),
        "operationId": f"limits_{view.__name__}",
        "tags": ["limits"],
        "parameters": _path_parameters(path),
        "security": [{"x-auth-token": []}],
        "responses": {
            **responses.LIMITS_SUCCESS[view],
            **responses.described(responses.LIMITS_ERRORS, responses.LIMITS_ERROR_SCHEMA),
            "503": responses.response(responses.TRY_AGAIN, responses.LIMITS_TRY_AGAIN_SCHEMA),
        },
    }
    if view in _LIMIT_BODIES:
        operation["requestBody"] = {"required": True, "content": responses.content(_LIMIT_BODIES[view])}
    return operation


def _export() -> Json:
    """Return the operation of the finance exports."""
    parameters = [
        {"in": "path", "name": "report", "required": True, "schema": {"type": "string", "enum": list(REPORTS)}},
        {"in": "path", "name": "format", "required": True, "schema": {"type": "string", "enum": list(FORMATS)}},
        *(
            {"in": "query", "name": name, "required": False, "schema": _EXPORT_PARAMETERS[name]}
            for name in finance.PARAMETERS
        ),
    ]
    return {
        "summary": "Download a report, with its manifest in X-Export-Manifest. A statement needs brand and uid.",
        "operationId": "export",
        "tags": ["finance"],
        "security": [{"api-token": []}],
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "The report.",
                "content": {finance.content_type(format_): {} for format_ in FORMATS},
            },
            **responses.described(responses.EXPORT_ERRORS, responses.EXPORT_ERROR_SCHEMA),
        },
    }


def _probe(name: str, summary: str, content: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> Json:
    done = {"description": summary, "content": dict(content)}
    return {"summary": summary, "operationId": name, "tags": ["probes"], "responses": {"200": done, **(more or {})}}


def _path(path: str) -> str:
    return _CONVERTER.sub(r"{\2}", path)


def _path_parameters(path: str) -> list[Json]:
    return [
        {"in": "path", "name": name, "required": True, "schema": _ID if converter else _TEXT}
        for converter, name in _CONVERTER.findall(path)
    ]


_PROBES: dict[str, Json] = {
    "/healthz": _probe("healthz", "The process is alive.", responses.content(responses.PROBE_SCHEMA)),
    "/readyz": _probe(
        "readyz",
        "The database is reachable and its migrations are current.",
        responses.content(responses.PROBE_SCHEMA),
        {"503": responses.response("Not ready: `status` is the reason.", responses.PROBE_SCHEMA)},
    ),
    "/metrics": _probe("metrics", "Metrics in Prometheus' text format.", {CONTENT_TYPE_LATEST: {}}),
}
