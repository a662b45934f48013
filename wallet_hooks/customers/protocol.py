"""The protocol of everything under /v1 (seeds/000): sessions in a header, JSON or forms in, one envelope out.

`{"status":"ok","data":…}`, or `{"status":"error","code":"…","data":{…}}`. Rooms give a table of routes; each view opens
its own transaction and returns plain values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import simplejson
from flask import Blueprint, Response, request
from marshmallow import ValidationError
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.customers.callers import Caller, authenticate
from wallet_hooks.database import Fault, fault_of, run_again
from wallet_hooks.errors import ForbiddenError, NotFoundError, TryAgainError, UnauthenticatedError, WalletHooksError
from wallet_hooks.identity.api_tokens import TokenHolder, token_holder
from wallet_hooks.money import MoneyError
from wallet_hooks.settings import Settings
from wallet_hooks.telemetry import LOG
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import FORM, JSON, RejectedBodyError, media_type, new_request_id, read_body, source_of
from wallet_hooks.web.shapes import Shape, Text
from wallet_hooks.web.source import Source
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

_STATUS_OF_CODE = {
    "length_required": 411,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "bookie_unavailable": 502,
    "try_again": 503,
}
_MAX_FORM_FIELDS = 100
_BODY_CAP = 64 * 1024  # no call here has more to say
ID = f"int(max={2**63 - 1})"  # a path's number, as far as the database can count


@dataclass(frozen=True, kw_only=True)
class Office:
    """What the views work with."""

    engine: Engine
    settings: Settings
    countries: Countries

    @property
    def session_idle(self) -> timedelta:
        return timedelta(seconds=self.settings.session_idle)


class Call(NamedTuple):
    """A call that was let in: by whom, with what, from where. `key` is the Idempotency-Key."""

    caller: Caller | TokenHolder | None
    given: dict[str, Any]
    source: Source
    now: datetime
    key: str | None

    @property
    def person(self) -> Caller:
        """The customer behind the session. Raises ForbiddenError for a machine's token."""
        if not isinstance(self.caller, Caller):
            raise ForbiddenError("this is for people")
        return self.caller


class Page(NamedTuple):
    """A part of a list; `next` asks for the part after it."""

    items: list[Any]
    next: int | None


View = Callable[..., Any]


class Route(NamedTuple):
    """A call of the protocol.

    `shape` reads the body, or the query string of a GET. `tokens` are the roles of API tokens that may call as well
    as people, or with `only_tokens` instead of them; an `is_open` route is its own proof.
    """

    method: str
    path: str
    view: View
    shape: type[Shape] | None = None
    tokens: tuple[str, ...] = ()
    only_tokens: bool = False
    is_open: bool = False


def blueprint(name: str, routes: Sequence[Route], office: Office) -> Blueprint:
    """The routes of a room, over an office."""
    room = Blueprint(name, __name__)
    for route in routes:
        endpoint = f"{route.method.lower()}_{route.view.__name__.strip('_')}"
        answer = partial(_answer, route, office)
        room.add_url_rule(route.path, endpoint, answer, methods=[route.method], strict_slashes=False)
    return room


def error_response(code: str, status: int, data: Mapping[str, Any] | None = None) -> Response:
    """A refusal in the protocol's envelope."""
    body = _dumps({"status": "error", "code": code, "data": data or {}})
    response = Response(body, status, content_type=JSON)
    if status in (429, 503):
        response.headers["Retry-After"] = "1"
    return response


def _answer(route: Route, office: Office, **path: Any) -> Response:
    started, now = clock.monotonic(), clock.now()
    id_ = new_request_id(now)
    try:
        response = _ok(_run(route, office, now, path))
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        response = refusal
    response.headers["X-Request-Id"] = id_
    ms = round((clock.monotonic() - started) * 1000, 3)
    LOG.info("call", request_id=id_, method=route.method, route=route.path, status=response.status_code, ms=ms)
    return response


def _run(route: Route, office: Office, now: datetime, path: dict[str, Any]) -> Any:
    caller = None if route.is_open else _authenticate(route, office, now)
    if not all(str(value).isprintable() for value in path.values()):
        raise NotFoundError("nothing has such a name")
    source = source_of(request.environ, proxy_hops=office.settings.proxy_hops)
    call = Call(caller, _read(route, office), source, now, request.headers.get("Idempotency-Key"))
    return run_again(lambda: route.view(office, call, **path))


def _authenticate(route: Route, office: Office, now: datetime) -> Caller | TokenHolder:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if route.tokens and scheme.lower() == "bearer":
        return token_holder(office.engine, bearer.strip(), route.tokens, now=now)
    token, idle = request.headers.get("Session", ""), office.session_idle
    caller, _ = authenticate(office.engine, token, now=now, idle=idle)
    if caller is None:
        raise UnauthenticatedError("a header Session with a token is expected")
    if route.only_tokens:
        raise ForbiddenError(f"this needs an API token with role {' or '.join(route.tokens)}")
    return caller


def _read(route: Route, office: Office) -> dict[str, Any]:
    if route.shape is None:
        return {}
    if route.method == "GET":
        document: Any = _once(list(request.args.items(multi=True)))
        return dict(route.shape(unknown="exclude").load(document))
    cap = min(office.settings.body_cap, _BODY_CAP)
    body = read_body(request.environ, cap=cap, media_types=(JSON, FORM))
    shape = route.shape(unknown="raise")
    document = _read_form(body, shape) if media_type(request.environ) == FORM else read_json(body)
    return dict(shape.load(document))


def _read_form(body: bytes, shape: Shape) -> dict[str, Any]:
    """A form's fields: texts as they are, everything else as the JSON that it stands for."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FORM_FIELDS, errors="strict")
    except ValueError:
        raise InvalidJSONError("not a form") from None
    texts = {field.data_key or name for name, field in shape.fields.items() if isinstance(field, Text)}
    return {key: value if key in texts else read_json(value.encode()) for key, value in _once(pairs).items()}


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidJSONError("duplicate key")
    return fields


def _ok(data: Any) -> Response:
    if isinstance(data, Iterator):
        first = next(data, None)  # what goes wrong before anything was sent is still told properly
        items = iter(()) if first is None else chain([first], data)
        return Response(_stream(items), content_type=JSON)
    more = {}
    if isinstance(data, Page):
        data, more = data.items, {"next": data.next}
    return Response(_dumps({"status": "ok", "data": data, **more}), content_type=JSON)


def _stream(items: Iterator[list[Any]]) -> Iterator[str]:
    """The envelope around a list that comes in batches."""
    separator = '{"status":"ok","data":['
    for batch in items:
        yield separator + _dumps(batch)[1:-1]
        separator = ","
    yield "]}" if separator == "," else separator + "]}"


def _dumps(value: Any) -> str:
    return str(simplejson.dumps(value, use_decimal=True, separators=(",", ":")))


def _refusal(error: Exception) -> Response | None:
    """What the caller is told of an error; None for a defect of ours."""
    match error:
        case ValidationError():
            return error_response("validation_error", 400, error.normalized_messages())  # type: ignore[no-untyped-call]
        case RejectedBodyError():
            code = "unsupported_media_type" if error.code == "not_json" else error.code
            return error_response(code, _STATUS_OF_CODE[code])
        case InvalidJSONError():
            return error_response("validation_error", 400, {"_body": [str(error)]})
        case MoneyError():
            return error_response("validation_error", 400, {"message": str(error)})
        case UnauthenticatedError():
            return error_response(error.code, 401, {"message": str(error)})
        case ForbiddenError():
            return error_response(error.code, 403, {"message": str(error)})
        case NotFoundError():
            return error_response(error.code, 404, {"message": str(error)})
        case TryAgainError():
            return error_response("too_many_requests", 429, {"message": str(error)})
        case WalletHooksError():
            return error_response(error.code, _STATUS_OF_CODE.get(error.code, 400), {"message": str(error)})
    return _database_refusal(fault_of(error))


def _database_refusal(fault: Fault) -> Response | None:
    if fault is Fault.OTHER:
        return None
    if fault is Fault.DUPLICATE:
        return error_response("conflict", 400, {"message": "something of this name exists already"})
    if fault is Fault.OUT_OF_RANGE:
        return error_response("validation_error", 400, {"message": "a number is out of range"})
    return error_response("try_again", 503)
