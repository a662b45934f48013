"""What an error means for the caller, and the log line of a defect."""

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from wallet_hooks.database import DATABASE_ERRORS, Fault, fault_of
from wallet_hooks.database.faults import driver_error, state_of
from wallet_hooks.errors import TryAgainError, WalletHooksError
from wallet_hooks.logs import LOG
from wallet_hooks.money import MoneyError
from wallet_hooks.web.requests import RejectedBodyError
from wallet_hooks.web.strict_json import InvalidJSONError


def cause_of(error: Exception) -> tuple[str, str, Mapping[str, Any] | None] | None:
    """Return the code, message and invalid fields of an error that the caller can act on; None for a defect."""
    match error:
        case ValidationError():
            return "invalid_request", "", error.normalized_messages()  # type: ignore[no-untyped-call]
        case InvalidJSONError():
            return "invalid_request", str(error), {"_body": [str(error)]}
        case MoneyError():
            return "invalid_request", str(error), None
        case RejectedBodyError():
            return error.code, "", None
        case TryAgainError():
            return "busy", str(error), None
        case WalletHooksError():
            return error.code, str(error), None
    match fault_of(error):
        case Fault.OTHER:
            return None
        case Fault.DUPLICATE:
            return "conflict", "this name or key is in use already", None
        case Fault.OUT_OF_RANGE:
            return "invalid_request", "a number is out of range", None
    return "try_again", "", None


def log_defect(error: BaseException, *, request_id: str, path: str) -> None:
    """Log a defect with its trace under the answer's request id.

    The messages are left out if one is of the database: it may quote rows, and rows may hold secrets.
    """
    chain = list(_chain(error))
    of_database = next((one for one in chain if isinstance(one, DATABASE_ERRORS)), None)
    if of_database is None:
        LOG.error("defect", request_id=request_id, path=path, exc_info=error)
    else:
        cause = driver_error(of_database)
        trace = "".join(line for one in reversed(chain) for line in traceback.format_tb(one.__traceback__))
        facts = {"error": type(cause).__name__, "state": state_of(cause)}
        LOG.error("defect", request_id=request_id, path=path, **facts, trace=trace)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those during whose handling it was raised."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
