"""Convert fixtures to formats of other tools: HTTP archives (HAR) and curl commands."""

import base64
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.replay.fixture import Case, headers_of
from wallet_hooks.replay.reports import curl
from wallet_hooks.replay.targets import escape_path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_har(cases: Iterable[Case], address: str) -> dict[str, Any]:
    """Return an HTTP archive (HAR 1.2) of the requests and the expected answers."""
    creator = {"name": "wallet-hooks", "version": version("wallet-hooks")}
    return {"log": {"version": "1.2", "creator": creator, "entries": [_entry(case, address) for case in cases]}}


def as_curl(cases: Iterable[Case], address: str) -> str:
    """Return a shell script with one curl command per case."""
    return "".join(f"{curl(case, address)}\n" for case in cases)


def _entry(case: Case, address: str) -> dict[str, Any]:
    request, body = case.request, encode_body(case.request)
    headers = headers_of(request)
    expected = case.expect.get("body")
    text = "" if expected is None else json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
    return {
        "startedDateTime": (case.at or _EPOCH).isoformat(),
        "time": 0,
        "request": {
            "method": request.get("method", "POST"),
            "url": f"{address}{escape_path(request['path'])}",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": name, "value": value} for name, value in headers.items() if value is not None],
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": len(body),
            "postData": _post_data(body),
        },
        "response": {
            "status": case.expect["status"],
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "cookies": [],
            "content": {"size": len(text.encode()), "mimeType": "application/json", "text": text},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }


def _post_data(body: bytes) -> dict[str, Any]:
    try:
        return {"mimeType": "application/json", "text": body.decode()}
    except UnicodeDecodeError:
        return {"mimeType": "application/json", "text": base64.b64encode(body).decode(), "comment": "base64"}
