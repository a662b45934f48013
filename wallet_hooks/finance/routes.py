"""GET /finance/exports/<report>.<format>: reports over HTTP, for API tokens with the finance role.

A token is for all brands, or where each brand has a schema for the brand of the report.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import IO
from urllib.parse import urlencode

from flask import Blueprint
from sqlalchemy import Engine

from wallet_hooks.database import has_brand_schemas, reading
from wallet_hooks.database.brands import engine_of_client, engines_of_brands
from wallet_hooks.database.deadlines import answer_within
from wallet_hooks.errors import (
    ForbiddenError,
    RefusedError,
    UnauthenticatedError,
)
from wallet_hooks.finance import exports
from wallet_hooks.finance.exports import Options
from wallet_hooks.finance.general_ledger import AccountCodes
from wallet_hooks.finance.report_request import FIRST_DAY, ReportRequest, StatementPage, customer_of, read_day
from wallet_hooks.identity.api_tokens import token_holder
from wallet_hooks.identity.models import Brand
from wallet_hooks.settings import Settings
from wallet_hooks.text_checks import is_positive_number
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.requests import bearer_token
from wallet_hooks.web.token_guesses import looking_up_token

PREFIX = "/finance/"
_CHUNK = 256 * 1024
PARAMETERS = ("from", "to", "brand", "uid", "limit", "item", "balance", "bom", "currency", "part")
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
    """Return the routes. `engine` authenticates tokens; `reports` is the database to export, which may be a replica."""

    def export(request: ApiRequest, report: str, format_: str) -> Reply:
        client = request.query.get("brand")
        _authenticate(engine, request, client)
        return _export(_engine(reports, client), request, report, format_, codes)

    path = f"{PREFIX}exports/<report>.<format_>"
    return api.blueprint(FINANCE, [Endpoint("GET", path, "export", export)], settings)


def content_type(format_: str) -> str:
    """Return the media type of an export."""
    return _TYPES.get(format_, "text/plain; charset=utf-8")


def _failure(problem: Problem) -> Reply:
    message = problem.message or ("the database is not available" if problem.status == 503 else "")
    body = {"error": problem.code, "message": message} if message else {"error": problem.code}
    return Reply(problem.status, json.dumps(body))


FINANCE = Api(name="finance", prefix=PREFIX, failure=_failure)


def _engine(reports: Engine, client: str | None) -> Engine:
    """Return the engine that sees what is exported: of one brand, where each brand has a schema."""
    if client is not None:
        return engine_of_client(reports, client)
    brands = engines_of_brands(reports)
    if len(brands) != 1:
        raise RefusedError("brand", "brand: a report is of one brand here, which must be named")
    return brands[0][1]


def _authenticate(engine: Engine, request: ApiRequest, client: str | None) -> None:
    token = bearer_token(request.headers)
    if token is None:
        raise UnauthenticatedError("header Authorization: Bearer with an API token is required")
    # The export takes as long as it needs.
    with answer_within(request.settings.call_time_outs.answer), looking_up_token(token, request.source.address):
        holder = token_holder(engine, token, ("finance",), now=request.now)
    if holder.brand_id is not None and not _is_only(engine, client, holder.brand_id):
        raise ForbiddenError("the export has other brands than the token: a token for all brands is required")


def _is_only(engine: Engine, client: str | None, brand_id: int) -> bool:
    """Return whether an export has this brand alone."""
    if client is None or not has_brand_schemas(engine):
        return False
    with reading(engine) as session:
        return session.get_one(Brand, brand_id).client == client


def _export(reports: Engine, request: ApiRequest, report: str, format_: str, codes: AccountCodes) -> Reply:
    """Write the export to a temporary file first, so that a failure gives an error, not a partial report."""
    report_request = _read_request(reports, request)
    options = Options(_read_flag(request, "bom"), codes, _read_number(request, "part"))
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed after it is sent
    try:
        manifest = exports.write(reports, report, format_, report_request, file, options)  # type: ignore[arg-type]
        size = file.tell()
        file.seek(0)
        manifest["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        file.seek(0)
    except BaseException:
        file.close()
        raise
    response = Reply(200, FileChunks(file), content_type=content_type(format_))
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="{report}.{format_}"'
    response.headers["X-Export-Manifest"] = json.dumps(manifest)
    if following := manifest.get("next"):
        period = {"from": report_request.first.isoformat(), "to": report_request.last.isoformat()}
        response.headers["Link"] = f'<?{urlencode(request.query.to_dict() | period | following)}>; rel="next"'
    return response


def _read_request(reports: Engine, request: ApiRequest) -> ReportRequest:
    for name, values in request.query.lists():
        if name not in PARAMETERS or len(values) > 1:
            raise RefusedError(
                "bad_option", f"{name}: unknown or repeated; each of {', '.join(PARAMETERS)} is accepted once"
            )
    customer = customer_of(reports, request.query.get("brand"), request.query.get("uid"))
    limit, item = _read_number(request, "limit"), _read_number(request, "item")
    if (item is None) != ("balance" not in request.query) or (item is not None and limit is None):
        raise RefusedError(
            "bad_page", "limit, item, balance: a page needs limit; a later page also needs item and balance"
        )
    page = None if limit is None else StatementPage(limit, item or 0, request.query.get("balance", ""))
    now = request.now
    first = _read_day(request, "from") or FIRST_DAY
    last = _read_day(request, "to") or exports.newest_day(reports, now)
    return ReportRequest(first, last, customer, now, page, request.query.get("currency"))


def _read_day(request: ApiRequest, name: str) -> date | None:
    text = request.query.get(name)
    return None if text is None else read_day(name, text)


def _read_number(request: ApiRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not is_positive_number(text):
        raise RefusedError("bad_option", f"{name}: {text!r}; a number from 1 is expected")
    return int(text)


def _read_flag(request: ApiRequest, name: str) -> bool:
    text = request.query.get(name, "false")
    if text not in ("true", "false"):
        raise RefusedError("bad_option", f"{name}: {text!r}; true or false is expected")
    return text == "true"


class FileChunks:
    """Yields a file's content in chunks. The file is closed after the last, or by the server if it stops earlier."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            while chunk := self._file.read(_CHUNK):
                yield chunk

    def close(self) -> None:
        self._file.close()
