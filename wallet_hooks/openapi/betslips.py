"""The intake of betslip messages, and customers' streams, in the OpenAPI document."""

from typing import Any

from wallet_hooks.betslips.intake import MESSAGES_PATH
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM
from wallet_hooks.betslips.routes import STREAM_PATH
from wallet_hooks.betslips.schemas import MAX_MESSAGES, BetslipSchema, ClosedSchema, PmmSchema, StreamSchema
from wallet_hooks.openapi import responses
from wallet_hooks.openapi.fields import Json
from wallet_hooks.openapi.responses import TRY_AGAIN

_SCHEMAS = {BETSLIP: BetslipSchema, PMM: PmmSchema, CLOSED: ClosedSchema}
_TAKEN: Json = {"type": "object", "properties": {"status": {"const": "OK"}}, "additionalProperties": False}
_REFUSED: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "messages": {
            "description": "The bad messages, by their index; the others were taken.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"index": {"type": "integer", "minimum": 0}, "error": {"type": "object"}},
            },
        },
        "fields": {"description": "What is wrong with a body of which nothing was taken.", "type": "object"},
    },
    "additionalProperties": False,
}
_ERRORS = {
    "400": "Not JSON, not messages, or some bad messages, which are named by their index.",
    "401": "Authentication is missing or invalid.",
    "403": "Source address or role not allowed.",
    "411": "The request has no Content-Length.",
    "413": "The body is too large.",
    "415": "The body is not application/json in UTF-8.",
    "503": TRY_AGAIN,
}
_STREAM_ERRORS = {
    "400": "`since` is not a number.",
    "401": "The token is missing, invalid or expired.",
    "426": "The request is not a WebSocket handshake.",
    "429": "Too many streams are open, or unknown tokens from this address; Retry-After has the seconds.",
    "501": "The server does not hand over sockets.",
    "503": TRY_AGAIN,
}


def paths(converter: Any, authentications: tuple[str, ...]) -> dict[str, Json]:
    """Return the path items; `converter` is apispec's of marshmallow fields, `authentications` the callbacks'."""
    return {MESSAGES_PATH: {"post": _intake(converter, authentications)}, STREAM_PATH: {"get": _stream()}}


def _intake(converter: Any, authentications: tuple[str, ...]) -> Json:
    known = [_pair({"const": name}, converter.resolve_nested_schema(schema)) for name, schema in _SCHEMAS.items()]
    unknown = _pair({"type": "string", "not": {"enum": list(_SCHEMAS)}}, {"type": "object"})
    message: Json = {"description": "Messages of unknown types are ignored.", "oneOf": [*known, unknown]}
    messages = {"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": message}
    frame = {
        "type": "object",
        "required": ["data"],
        "properties": {"ts": {"type": ["number", "null"]}, "data": messages},
    }
    return {
        "summary": "Take betslip messages: one, an array of them, or the frame of the platform's stream.",
        "operationId": "betslip_messages",
        "tags": ["callbacks"],
        "security": [{name: []} for name in authentications],
        "requestBody": {"required": True, "content": responses.content({"anyOf": [message, messages, frame]})},
        "responses": {
            "200": responses.response("All messages were taken.", _TAKEN),
            **responses.described(_ERRORS.items(), _REFUSED),
        },
    }


def _stream() -> Json:
    errors = responses.described(_STREAM_ERRORS.items(), responses.V1_ERROR_SCHEMA)
    return {
        "summary": "Open a WebSocket that sends the customer's betslip messages, and its money when it moves.",
        "operationId": "stream",
        "tags": ["v1"],
        "parameters": [{"in": "query", "schema": StreamSchema}],
        "responses": {"101": {"description": "The stream begins: docs/protocols/betslips.md."}, **errors},
    }


def _pair(type_: Json, body: Json) -> Json:
    return {"type": "array", "prefixItems": [type_, body], "minItems": 2, "maxItems": 2}
