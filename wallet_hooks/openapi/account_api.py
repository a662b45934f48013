"""The account API's REST transport in the OpenAPI document; JSON-RPC takes the same parameters and results."""

from typing import Any

from wallet_hooks.accounts_api.access import Access
from wallet_hooks.accounts_api.errors import CODES
from wallet_hooks.accounts_api.field_types import ApiDate, ApiDouble, ApiEnum, ApiInteger, ApiString
from wallet_hooks.accounts_api.operations import OPERATIONS_BY_NAME, Operation
from wallet_hooks.accounts_api.routes import REST_PATH
from wallet_hooks.openapi import responses
from wallet_hooks.openapi.fields import Json, with_null

SECURITY: dict[str, Json] = {
    "x-authentication": {"type": "apiKey", "in": "header", "name": "X-Authentication"},
    "x-application": {"type": "apiKey", "in": "header", "name": "X-Application"},
    "access-token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An access token that a customer gave to the vendor of the application key.",
    },
}
_EXCEPTION: Json = {
    "type": "object",
    "required": ["errorCode", "errorDetails", "requestUUID"],
    "properties": {
        "errorCode": {"enum": list(CODES)},
        "errorDetails": {"type": "string"},
        "requestUUID": {"type": "string"},
    },
}
ERROR: Json = {
    "type": "object",
    "required": ["faultcode", "faultstring", "detail"],
    "properties": {
        "faultcode": {"enum": ["Client", "Server"]},
        "faultstring": {"type": "string", "pattern": "^(DSC|AANGX)-[0-9]{4}$"},
        "detail": {
            "type": "object",
            "properties": {
                "exceptionname": {"const": "AccountAPINGException"},
                "AccountAPINGException": _EXCEPTION,
            },
        },
    },
    "additionalProperties": False,
}
_ERRORS = {
    "400": "The operation's exception, or parameters that are missing (DSC-0018) or of a wrong type (DSC-0044).",
    "406": "The header Accept excludes JSON.",
    "411": "The body has no length.",
    "413": "The body is too large.",
    "415": "The body is not application/json in UTF-8.",
    "500": "An unexpected error.",
    "503": "The service is busy: try again.",
    "504": "The database did not answer in time.",
}


def paths(converter: Any) -> dict[str, Json]:
    """Return the path items of the operations; `converter` is apispec's of marshmallow fields."""
    return {
        f"{REST_PATH}/v1.0/{operation.name}/": {"post": _operation(operation, converter)}
        for operation in OPERATIONS_BY_NAME.values()
    }


def describe_field(_converter: Any, field: Any, **_kwargs: Any) -> Json:
    """Return the JSON Schema of the API's field types; empty for any other."""
    return with_null(_schema_of(field), field)


def _schema_of(field: Any) -> Json:
    match field:
        case ApiInteger():
            return _integer(field)
        case ApiDouble():
            return {"type": "number"}
        case ApiDate():
            return {"type": "string", "format": "date-time"}
        case ApiEnum():
            return {"enum": list(field.values)}
        case ApiString():
            return {"type": "string", "maxLength": 1000}
    return {}


def _operation(operation: Operation, converter: Any) -> Json:
    schema = converter.field2property(operation.result)
    return {
        "summary": " ".join((operation.run.__doc__ or "").split()),
        "operationId": f"account_{operation.name}",
        "tags": ["account API"],
        "security": [{name: [] for name in names} for names in _schemes(operation.access)],
        "requestBody": {"required": _has_required(operation), "content": responses.content(operation.parameters)},
        "responses": {
            "200": responses.response("The result.", schema),
            **responses.described(_ERRORS.items(), {"$ref": "#/components/schemas/AccountsError"}),
        },
    }


def _has_required(operation: Operation) -> bool:
    return any(field.required for field in operation.parameters().fields.values())


def _schemes(access: Access) -> list[tuple[str, ...]]:
    """Return which headers an operation needs together, in one or two ways."""
    login, key = ("x-authentication",), ("x-application",)
    if not access.login:
        return [key]
    if not access.key:
        return [login, login + key] if access.owner else [login]
    return [login + key, ("access-token", *key)] if access.token else [login + key]


def _integer(field: ApiInteger) -> Json:
    return {"type": "integer", "minimum": -field.maximum - 1, "maximum": field.maximum}
