"""The REST transport: the operation's name in the path, its parameters as the body."""

import re
from typing import Any

from wallet_hooks.accounts_api.errors import (
    DEFECT,
    MISSING_PARAMETER,
    NO_REQUESTS,
    NOT_ACCEPTABLE,
    TIMEOUT,
    UNKNOWN_OPERATION,
    UNKNOWN_SERVICE,
    UNREADABLE,
    UNSUPPORTED_CONTENT_TYPE,
    AccountsError,
    ProtocolError,
)
from wallet_hooks.accounts_api.json_rpc import exception_data
from wallet_hooks.accounts_api.negotiation import check_accept
from wallet_hooks.accounts_api.operations import OPERATIONS_BY_NAME, OperationRequest, OperationRunner
from wallet_hooks.web.api import ApiRequest, Problem, Reply
from wallet_hooks.web.exact_json import dumps
from wallet_hooks.web.strict_json import read_json

_VERSION = re.compile(r"v1(\.\d{1,3})?", re.ASCII | re.IGNORECASE)
_STATUSES = {"SERVICE_BUSY": 503, "TIMEOUT_ERROR": 504, "UNEXPECTED_ERROR": 500}
_SERVER_ERROR = 500
_FAULTS = {404: UNKNOWN_SERVICE, 405: UNKNOWN_OPERATION, 415: UNSUPPORTED_CONTENT_TYPE, 500: DEFECT, 503: TIMEOUT}
# The statuses of protocol faults, over both transports.
FAULT_STATUSES = {
    DEFECT: 500,
    UNSUPPORTED_CONTENT_TYPE: 415,
    NOT_ACCEPTABLE: 406,
    MISSING_PARAMETER: 400,
    TIMEOUT: 504,
    UNKNOWN_OPERATION: 404,
    UNKNOWN_SERVICE: 404,
    NO_REQUESTS: 400,
    UNREADABLE: 400,
}


class Rest:
    """Answers the calls of the transport."""

    def __init__(self, operations: OperationRunner) -> None:
        self._operations = operations

    def answer(self, request: ApiRequest, version: str, operation: str) -> Reply:
        """Return the reply to a call. Raises ProtocolError for a call that reaches no operation."""
        if _VERSION.fullmatch(version) is None:
            raise ProtocolError(UNKNOWN_SERVICE)
        if operation.lower() not in OPERATIONS_BY_NAME:
            raise ProtocolError(UNKNOWN_OPERATION)
        check_accept(request)
        parameters = read_json(request.body(lenient=True) or b"{}")  # an empty body is treated as an empty object
        if type(parameters) is not dict:
            raise ProtocolError(UNREADABLE)
        try:
            result = self._operations.run(
                OperationRequest(
                    name=operation,
                    parameters=parameters,
                    headers=request.headers,
                    address=request.source.address,
                    now=request.now,
                    id=request.id,
                )
            )
        except AccountsError as error:
            return _operation_failed(error, request.id)
        return Reply(200, dumps(result))


def failure(problem: Problem) -> Reply:
    """Return the reply to a call that reached no operation."""
    code = problem.code if problem.code.startswith("DSC-") else _FAULTS.get(problem.status, UNREADABLE)
    return _reply(problem.status, code, {})


def _operation_failed(error: AccountsError, request_id: str) -> Reply:
    reply = _reply(_STATUSES.get(error.code, 400), error.message, exception_data(error, request_id))
    reply.code = error.code
    return reply


def _reply(status: int, message: str, detail: dict[str, Any]) -> Reply:
    side = "Client" if status < _SERVER_ERROR else "Server"
    return Reply(status, dumps({"faultcode": side, "faultstring": message, "detail": detail}))
