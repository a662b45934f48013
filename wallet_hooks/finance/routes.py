"""GET /finance/exports/<report>.<format>: reports over HTTP, for API tokens with the finance role of all brands."""

import json
import re
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import IO
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import Fault, fault_of
from wallet_hooks.errors import (
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnauthenticatedError,
    WalletHooksError,
)
from wallet_hooks.finance import exports
from wallet_hooks.finance.asked import Asked, Page
from wallet_hooks.finance.exports import Options
from wallet_hooks.finance.general_ledger import AccountCodes
from wallet_hooks.identity.api_tokens import token_holder

PREFIX = "/finance/"
_CHUNK = 256 * 1024
PARAMETERS = ("from", "to", "brand", "uid", "limit", "item", "balance", "bom", "currency", "part")
_NUMBER = re.compile(r"[1-9]\d{0,17}", re.ASCII)
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
    "xero": "text/csv; charset=utf-8",
    "quickbooks": "text/csv; charset=utf-8",
    "datev": "text/csv; charset=windows-1252",
}
_STATUSES = {UnauthenticatedError: 401, ForbiddenError: 403, NotFoundError: 404}


def blueprint(engine: Engine, reports: Engine, codes: AccountCodes) -> Blueprint:
    """`engine` knows the tokens; `reports` is what is exported, which may be a replica."""
    finance = Blueprint("finance", __name__)

    @finance.get(f"{PREFIX}exports/<report>.<format_>")
    def export(report: str, format_: str) -> Response:
        try:
            _authenticate(engine)
            return _export(reports, report, format_, codes)
        except WalletHooksError as error:
            return error_response(error.code, _STATUSES.get(type(error), 400), str(error))
        except Exception as error:
            if fault_of(error) is Fault.OTHER:
                raise
            return error_response("try_again", 503, "the database is away")

    return finance


def content_type(format_: str) -> str:
    """Return the media type of an export."""
    return _TYPES.get(format_, "text/plain; charset=utf-8")


def error_response(code: str, status: int, message: str = "") -> Response:
    """A refusal in the room's envelope."""
    body = {"error": code, "message": message} if message else {"error": code}
    response = Response(json.dumps(body), status, content_type="application/json")
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _authenticate(engine: Engine) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError("a header Authorization: Bearer with an API token is expected")
    holder = token_holder(engine, token.strip(), ("finance",), now=clock.now())
    if holder.brand_id is not None:
        raise ForbiddenError("exports are of all brands: this needs a token for all of them")


def _export(reports: Engine, report: str, format_: str, codes: AccountCodes) -> Response:
    """Made whole before it is sent: what goes wrong is an error then, and no torso that looks like a report."""
    asked = _asked()
    options = Options(_choice("bom"), codes, _number("part"))
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives until it is sent
    try:
        manifest = exports.write(reports, report, format_, asked, file, options)  # type: ignore[arg-type]
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    response = Response(_chunks(file), content_type=content_type(format_))
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{report}.{format_}"'
    response.headers["X-Export-Manifest"] = json.dumps(manifest)
    if following := manifest.get("next"):
        period = {"from": asked.first.isoformat(), "to": asked.last.isoformat()}
        response.headers["Link"] = f'<?{urlencode(request.args.to_dict() | period | following)}>; rel="next"'
    return response


def _asked() -> Asked:
    now = clock.now()
    for name, values in request.args.lists():
        if name not in PARAMETERS or len(values) > 1:
            raise RefusedError("bad_option", f"{name}: one of {', '.join(PARAMETERS)}, once")
    brand, uid = request.args.get("brand"), request.args.get("uid")
    if (brand is None) != (uid is None):
        raise RefusedError("customer", "brand and uid go together")
    customer = None if brand is None or uid is None else (brand, uid)
    limit, item = _number("limit"), _number("item")
    if (item is None) != ("balance" not in request.args) or (item is not None and limit is None):
        raise RefusedError("bad_page", "a page has a limit; one that goes on after an item has its balance")
    page = None if limit is None else Page(limit, item or 0, request.args.get("balance", ""))
    first, last = _day("from", date(2000, 1, 1)), _day("to", now.date())
    return Asked(first, last, customer, now, page, request.args.get("currency"))


def _day(name: str, default: date) -> date:
    text = request.args.get(name)
    if text is None:
        return default
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError("bad_period", f"{name}: a date such as 2026-11-21 is expected") from None


def _number(name: str) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RefusedError("bad_option", f"{name}: a number from 1 is expected")
    return int(text)


def _choice(name: str) -> bool:
    text = request.args.get(name, "false")
    if text not in ("true", "false"):
        raise RefusedError("bad_option", f"{name}: true or false is expected")
    return text == "true"


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
