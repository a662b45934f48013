"""GET /finance/exports/<report>.<format>: reports over HTTP, for API tokens with the finance role of all brands."""

import json
import re
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import IO
from urllib.parse import urlencode

from flask import Blueprint
from sqlalchemy import Engine

from wallet_hooks.errors import (
    ForbiddenError,
    RefusedError,
    UnauthenticatedError,
)
from wallet_hooks.finance import exports
from wallet_hooks.finance.asked import Asked, Page
from wallet_hooks.finance.exports import Options
from wallet_hooks.finance.general_ledger import AccountCodes
from wallet_hooks.identity.api_tokens import token_holder
from wallet_hooks.settings import Settings
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiRequest, Endpoint, Problem, Reply

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


def blueprint(engine: Engine, reports: Engine, codes: AccountCodes, settings: Settings) -> Blueprint:
    """`engine` knows the tokens; `reports` is what is exported, which may be a replica."""

    def export(request: ApiRequest, report: str, format_: str) -> Reply:
        _authenticate(engine, request)
        return _export(reports, request, report, format_, codes)

    path = f"{PREFIX}exports/<report>.<format_>"
    return api.blueprint(FINANCE, [Endpoint("GET", path, "export", export)], settings)


def content_type(format_: str) -> str:
    """Return the media type of an export."""
    return _TYPES.get(format_, "text/plain; charset=utf-8")


def _failure(problem: Problem) -> Reply:
    message = problem.message or ("the database is away" if problem.status == 503 else "")
    body = {"error": problem.code, "message": message} if message else {"error": problem.code}
    return Reply(problem.status, json.dumps(body))


def _as_it_is(reply: Reply) -> Reply:
    return reply


FINANCE = Api(name="finance", prefix=PREFIX, success=_as_it_is, failure=_failure)


def _authenticate(engine: Engine, request: ApiRequest) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError("a header Authorization: Bearer with an API token is expected")
    holder = token_holder(engine, token.strip(), ("finance",), now=request.now)
    if holder.brand_id is not None:
        raise ForbiddenError("exports are of all brands: this needs a token for all of them")


def _export(reports: Engine, request: ApiRequest, report: str, format_: str, codes: AccountCodes) -> Reply:
    """Made whole before it is sent: what goes wrong is an error then, and no partial report."""
    asked = _asked(reports, request)
    options = Options(_choice(request, "bom"), codes, _number(request, "part"))
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives until it is sent
    try:
        manifest = exports.write(reports, report, format_, asked, file, options)  # type: ignore[arg-type]
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    response = Reply(200, _Chunks(file), content_type=content_type(format_))
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{report}.{format_}"'
    response.headers["X-Export-Manifest"] = json.dumps(manifest)
    if following := manifest.get("next"):
        period = {"from": asked.first.isoformat(), "to": asked.last.isoformat()}
        response.headers["Link"] = f'<?{urlencode(request.query.to_dict() | period | following)}>; rel="next"'
    return response


def _asked(reports: Engine, request: ApiRequest) -> Asked:
    for name, values in request.query.lists():
        if name not in PARAMETERS or len(values) > 1:
            raise RefusedError("bad_option", f"{name}: one of {', '.join(PARAMETERS)}, once")
    brand, uid = request.query.get("brand"), request.query.get("uid")
    if (brand is None) != (uid is None):
        raise RefusedError("customer", "brand and uid go together")
    customer = None if brand is None or uid is None else (brand, uid)
    limit, item = _number(request, "limit"), _number(request, "item")
    if (item is None) != ("balance" not in request.query) or (item is not None and limit is None):
        raise RefusedError("bad_page", "a page has a limit; one that goes on after an item has its balance")
    page = None if limit is None else Page(limit, item or 0, request.query.get("balance", ""))
    now = request.now
    first = _day(request, "from") or date(2000, 1, 1)
    last = _day(request, "to") or exports.newest_day(reports, now)
    return Asked(first, last, customer, now, page, request.query.get("currency"))


def _day(request: ApiRequest, name: str) -> date | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError("bad_period", f"{name}: a date such as 2026-11-21 is expected") from None


def _number(request: ApiRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RefusedError("bad_option", f"{name}: a number from 1 is expected")
    return int(text)


def _choice(request: ApiRequest, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise RefusedError("bad_option", f"{name}: true or false is expected")
    return text == "true"


class _Chunks:
    """A file's content in pieces. The file is closed at its end, or by the server, which may not want any of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while chunk := self._file.read(_CHUNK):
                yield chunk

    def close(self) -> None:
        self._file.close()
