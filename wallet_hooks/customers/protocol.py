"""The protocol of everything under /v1 (seeds/000): sessions in a header, JSON or forms in, one envelope out.

`{"status":"ok","data":…}`, or `{"status":"error","code":"…","data":{…}}`. Packages give a table of routes; each view
opens its own transaction and returns plain values.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import simplejson
from flask import Blueprint
from sqlalchemy import Engine

from wallet_hooks.customers.callers import Caller, authenticate
from wallet_hooks.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from wallet_hooks.identity.api_tokens import TokenHolder, token_holder
from wallet_hooks.settings import Settings
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import FORM, JSON, media_type
from wallet_hooks.web.shapes import BaseSchema, Text
from wallet_hooks.web.source import Source
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

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


class ApiCall(NamedTuple):
    """A call that was let in: by whom, with what, from where. `key` is the Idempotency-Key."""

    caller: Caller | TokenHolder | None
    given: dict[str, Any]
    source: Source
    now: datetime
    key: str | None

    @property
    def person(self) -> Caller:
        """The customer who is logged in. Raises ForbiddenError for an API token."""
        if not isinstance(self.caller, Caller):
            raise ForbiddenError("customer login required: API tokens are not accepted here")
        return self.caller


class ListPage(NamedTuple):
    """A part of a list; `next` asks for the part after it."""

    items: list[Any]
    next: int | None


View = Callable[..., Any]


class V1Route(NamedTuple):
    """A call of the protocol.

    `shape` reads the body, or the query string of a GET. `tokens` are the roles of API tokens that may call as well
    as people, or with `only_tokens` instead of them; an `is_open` route is its own proof.
    """

    method: str
    path: str
    view: View
    shape: type[BaseSchema] | None = None
    tokens: tuple[str, ...] = ()
    only_tokens: bool = False
    is_open: bool = False


def blueprint(name: str, routes: Sequence[V1Route], office: Office) -> Blueprint:
    """A package's routes, over an office."""
    endpoints = [
        Endpoint(
            route.method, route.path, f"{route.method.lower()}_{route.view.__name__}", partial(_run, route, office)
        )
        for route in routes
    ]
    return api.blueprint(V1, endpoints, office.settings, name=name)


def _run(route: V1Route, office: Office, request: ApiRequest, **path: Any) -> Any:
    caller = None if route.is_open else _authenticate(route, office, request)
    if not all(str(value).isprintable() for value in path.values()):
        raise NotFoundError("nothing has such a name")
    call = ApiCall(caller, _read(route, request), request.source, request.now, request.headers.get("Idempotency-Key"))
    return route.view(office, call, **path)


def _authenticate(route: V1Route, office: Office, request: ApiRequest) -> Caller | TokenHolder:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if route.tokens and scheme.lower() == "bearer":
        return token_holder(office.engine, bearer.strip(), route.tokens, now=request.now)
    token, idle = request.headers.get("Session", ""), office.session_idle
    caller, _ = authenticate(office.engine, token, now=request.now, idle=idle)
    if caller is None:
        raise UnauthenticatedError("a header Session with a token is expected")
    if route.only_tokens:
        raise ForbiddenError(f"this needs an API token with role {' or '.join(route.tokens)}")
    return caller


def _read(route: V1Route, request: ApiRequest) -> dict[str, Any]:
    if route.shape is None:
        return {}
    if route.method == "GET":
        document: Any = _once(list(request.query.items(multi=True)))
        return dict(route.shape(unknown="exclude").load(document))
    body = request.body(cap=_BODY_CAP, media_types=(JSON, FORM))
    shape = route.shape(unknown="raise")
    document = _read_form(body, shape) if media_type(request.environ) == FORM else read_json(body)
    return dict(shape.load(document))


def _read_form(body: bytes, shape: BaseSchema) -> dict[str, Any]:
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


def _success(data: Any) -> Reply:
    if isinstance(data, Iterator):
        first = next(data, None)  # what goes wrong before anything was sent is still answered properly
        items = iter(()) if first is None else chain([first], data)
        return Reply(200, _stream(items))
    more = {}
    if isinstance(data, ListPage):
        data, more = data.items, {"next": data.next}
    return Reply(200, _dumps({"status": "ok", "data": data, **more}))


def _failure(problem: Problem) -> Reply:
    data = problem.fields or ({"message": problem.message} if problem.message else {})
    return Reply(problem.status, _dumps({"status": "error", "code": problem.code, "data": data}))


def _stream(items: Iterator[list[Any]]) -> Iterator[str]:
    """The envelope around a list that comes in batches."""
    separator = '{"status":"ok","data":['
    for batch in items:
        yield separator + _dumps(batch)[1:-1]
        separator = ","
    yield "]}" if separator == "," else separator + "]}"


def _dumps(value: Any) -> str:
    return str(simplejson.dumps(value, use_decimal=True, separators=(",", ":")))


V1 = Api(
    name="v1",
    prefix="/v1/",
    success=_success,
    failure=_failure,
    names={
        "invalid_request": "validation_error",
        "not_json": "unsupported_media_type",
        "busy": "too_many_requests",
        "session_expired": "unauthenticated",
    },
    statuses={"busy": 429, "bookie_unavailable": 502},
)
