"""The JSON-RPC transport: single calls and batches, with the operation's name in the body or in the URL."""

import re
from typing import Any

import simplejson

from wallet_hooks.accounts_api.errors import (
    DEFECT,
    MISSING_PARAMETER,
    NO_REQUESTS,
    TIMEOUT,
    UNKNOWN_OPERATION,
    UNREADABLE,
    UNSUPPORTED_CONTENT_TYPE,
    AccountsError,
    ProtocolError,
)
from wallet_hooks.accounts_api.negotiation import check_accept
from wallet_hooks.accounts_api.operations import OperationRequest, OperationRunner
from wallet_hooks.settings import Settings
from wallet_hooks.web.api import ApiRequest, Problem, Reply
from wallet_hooks.web.exact_json import dumps
from wallet_hooks.web.requests import JSON
from wallet_hooks.web.strict_json import Number, read_json

# `AccountAPING/v1.0/getAccountFunds`; minor versions are one.
_METHOD = re.compile(r"AccountAPING/v1(\.\d{1,3})?/(?P<operation>\w{1,100})/?", re.ASCII | re.IGNORECASE)
_PARSE_ERROR, _INVALID_REQUEST, _UNKNOWN_METHOD, _INVALID_PARAMETERS = -32700, -32600, -32601, -32602
_INTERNAL_ERROR, _OPERATION_FAILED = -32603, -32099
_NUMBERS = {
    MISSING_PARAMETER: _INVALID_PARAMETERS,
    UNREADABLE: _INVALID_PARAMETERS,
    UNKNOWN_OPERATION: _UNKNOWN_METHOD,
    NO_REQUESTS: _INVALID_REQUEST,
}
# The whole call: HTTP status to the error's number and message.
_WHOLE_CALL = {
    400: (_PARSE_ERROR, UNREADABLE),
    404: (_UNKNOWN_METHOD, UNKNOWN_OPERATION),
    405: (_UNKNOWN_METHOD, UNKNOWN_OPERATION),
    411: (_PARSE_ERROR, UNREADABLE),
    413: (_PARSE_ERROR, UNREADABLE),
    415: (_PARSE_ERROR, UNSUPPORTED_CONTENT_TYPE),
    503: (_INTERNAL_ERROR, TIMEOUT),
}

# Clients of the vendor send either.
_MEDIA_TYPES = (JSON, "application/json-rpc")
Json = dict[str, Any]


class JsonRpc:
    """Answers the calls of the transport."""

    def __init__(self, operations: OperationRunner, settings: Settings) -> None:
        self._operations = operations
        self._batch_cap = settings.accounts_batch_cap

    def answer(self, request: ApiRequest, method: str = "") -> Any:
        """Return the answer to a call or a batch, in the batch's order. `method` is the one that the URL names."""
        check_accept(request, _MEDIA_TYPES)
        document = read_json(request.body(media_types=_MEDIA_TYPES, lenient=True))
        if type(document) is list:
            if not 0 < len(document) <= self._batch_cap:
                raise ProtocolError(NO_REQUESTS)
            return [self._member(request, one, method, place) for place, one in enumerate(document, start=1)]
        if type(document) is not dict:
            raise ProtocolError(NO_REQUESTS)
        return self._member(request, document, method, 1)

    def _member(self, request: ApiRequest, member: Any, url_method: str, place: int) -> Json:
        """Answer one call; whatever is wrong with it is its own error."""
        answer: Json = {"jsonrpc": "2.0"}
        call_id: Json = {}
        try:
            if type(member) is not dict or not _is_id(member.get("id")):
                raise ProtocolError(NO_REQUESTS)
            call_id = {"id": _echo(member["id"])} if "id" in member else {}
            answer["result"] = self._operations.run(
                OperationRequest(
                    name=_operation_name(url_method if member.get("method") is None else member["method"]),
                    parameters=member.get("params"),
                    headers=request.headers,
                    address=request.source.address,
                    now=request.now,
                    id=request.id,
                    member=place,
                )
            )
        except ProtocolError as error:
            answer["error"] = {"code": _NUMBERS[error.code], "message": error.code}
        except AccountsError as error:
            answer["error"] = {
                "code": _OPERATION_FAILED,
                "message": error.message,
                "data": exception_data(error, request.id),
            }
        return answer | call_id


def exception_data(error: AccountsError, request_id: str) -> Json:
    """Return the AccountAPINGException as both transports show it."""
    name = "AccountAPINGException"
    details = {"errorCode": error.code, "errorDetails": str(error), "requestUUID": request_id}
    return {"exceptionname": name, name: details}


def success(answer: Any) -> Reply:
    """Return the reply to a call that reached the transport."""
    errors = [one["error"] for one in (answer if type(answer) is list else [answer]) if "error" in one]
    return Reply(200, dumps(answer), code=errors[0]["message"] if errors else None)


def failure(problem: Problem) -> Reply:
    """Return the reply to a call that is wrong as a whole; it has no id."""
    status, number, message = problem.status, *_WHOLE_CALL.get(problem.status, (_INTERNAL_ERROR, DEFECT))
    if problem.code.startswith("DSC-"):
        message, number = problem.code, _NUMBERS.get(problem.code, _PARSE_ERROR)
    return Reply(status, dumps({"jsonrpc": "2.0", "error": {"code": number, "message": message}}))


def _operation_name(method: Any) -> str:
    match = _METHOD.fullmatch(method) if type(method) is str else None
    if match is None:
        raise ProtocolError(UNKNOWN_OPERATION)
    return match["operation"]


def _is_id(value: Any) -> bool:
    return value is None or type(value) in (str, Number)


def _echo(id_: Any) -> Any:
    """Return an id for the answer: a number exactly as it was sent."""
    return simplejson.RawJSON(str(id_)) if type(id_) is Number else id_
