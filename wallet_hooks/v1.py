"""The protocol of everything under /v1 (docs/protocols/customers.md): its authentication, bodies and envelope.

The answer is `{"status":"ok","data":…}`, or `{"status":"error","code":"…","data":{…}}`. Packages declare a table of
routes; each view opens its own transaction and returns plain values.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from flask import Blueprint
from marshmallow.fields import Field

from wallet_hooks.errors import ForbiddenError, NotFoundError
from wallet_hooks.identity.api_tokens import TokenHolder, token_holder
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiContext, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.exact_json import dumps
from wallet_hooks.web.fields import UNWANTED, BaseSchema, Text
from wallet_hooks.web.forms import FORM, read_form
from wallet_hooks.web.requests import JSON, bearer_token, media_type
from wallet_hooks.web.source import Source
from wallet_hooks.web.strict_json import object_of, read_json
from wallet_hooks.web.token_guesses import looking_up_token

_BODY_CAP = 64 * 1024  # bytes
ID = f"int(max={2**63 - 1})"  # a numeric path part within BIGINT


class ApiCall(NamedTuple):
    """An authenticated call: its caller, fields, source address and time. `key` is the Idempotency-Key."""

    caller: Caller | TokenHolder | None
    given: dict[str, Any]
    source: Source
    now: datetime
    key: str | None

    @property
    def customer(self) -> Caller:
        """The customer who is logged in. Raises ForbiddenError for an API token."""
        if not isinstance(self.caller, Caller):
            raise ForbiddenError("customer login required: API tokens are not accepted here")
        return self.caller


class ListPage(NamedTuple):
    """A page of a list; `next` is the `after` of the page that follows, None on the last."""

    items: list[Any]
    next: int | None


View = Callable[..., Any]
# Returns whose session a token is. Raises UnauthenticatedError.
Authenticate = Callable[[ApiContext, str, datetime], Caller]


class V1Route(NamedTuple):
    """A route of the protocol.

    `schema` reads the body, or the query string of a GET. `tokens` are the roles of API tokens that may call as well
    as customers, or with `only_tokens` instead of them; an `is_open` route needs no authentication.
    """

    method: str
    path: str
    view: View
    schema: type[BaseSchema] | None = None
    tokens: tuple[str, ...] = ()
    only_tokens: bool = False
    is_open: bool = False


def blueprint(name: str, routes: Sequence[V1Route], context: ApiContext, authenticate: Authenticate) -> Blueprint:
    """Return a package's routes as Flask serves them; `authenticate` reads the header Session."""
    endpoints = [
        Endpoint(
            route.method,
            route.path,
            f"{route.method.lower()}_{route.view.__name__}",
            partial(_run, route, context, authenticate),
        )
        for route in routes
    ]
    return api.blueprint(V1, endpoints, context.settings, name=name)


def _run(route: V1Route, context: ApiContext, authenticate: Authenticate, request: ApiRequest, **path: Any) -> Any:
    caller = None if route.is_open else _caller(route, context, authenticate, request)
    if any(UNWANTED.search(str(value)) for value in path.values()):
        raise NotFoundError("no resource has this path")
    call = ApiCall(caller, _read(route, request), request.source, request.now, request.headers.get("Idempotency-Key"))
    return route.view(context.of_brand(caller.brand_id) if isinstance(caller, Caller) else context, call, **path)


def _caller(
    route: V1Route, context: ApiContext, authenticate: Authenticate, request: ApiRequest
) -> Caller | TokenHolder:
    token = bearer_token(request.headers)
    if route.tokens and token is not None:
        with looking_up_token(token, request.source.address):
            return token_holder(context.engine, token, route.tokens, now=request.now)
    login_token = request.headers.get("Session", "")
    with looking_up_token(login_token, request.source.address):
        caller = authenticate(context, login_token, request.now)
    if route.only_tokens:
        raise ForbiddenError(f"an API token is required, with role {' or '.join(route.tokens)}")
    return caller


def _read(route: V1Route, request: ApiRequest) -> dict[str, Any]:
    if route.schema is None:
        return {}
    if route.method == "GET":
        return dict(route.schema(unknown="exclude").load(read_query(request)))
    body = request.body(cap=_BODY_CAP, media_types=(JSON, FORM))
    schema = route.schema(unknown="raise")
    document = _read_form(body, schema) if media_type(request.environ) == FORM else read_json(body)
    return dict(schema.load(document))


def read_query(request: ApiRequest) -> dict[str, str]:
    """Return the parameters of a query string. Raises InvalidJSONError for a repeated one."""
    return object_of(list(request.query.items(multi=True)))


def _read_form(body: bytes, schema: BaseSchema) -> dict[str, Any]:
    """Return a form's fields: text fields as sent, every other field read as JSON.

    An empty field that may be null is null.
    """
    fields = {field.data_key or name: field for name, field in schema.fields.items()}
    return {key: _read_form_field(value, fields.get(key)) for key, value in read_form(body).items()}


def _read_form_field(value: str, field: Field[Any] | None) -> Any:
    if field is not None and field.allow_none and not value:
        return None
    return value if isinstance(field, Text) else read_json(value.encode())


def _success(data: Any) -> Reply:
    if isinstance(data, Reply):
        return data
    if isinstance(data, Iterator):
        first = next(data, None)  # an error before the first row still gets an error answer
        items = iter(()) if first is None else chain([first], data)
        return Reply(200, _stream(items))
    more = {}
    if isinstance(data, ListPage):
        data, more = data.items, {"next": data.next}
    return Reply(200, dumps({"status": "ok", "data": data, **more}))


def _failure(problem: Problem) -> Reply:
    data = problem.fields or ({"message": problem.message} if problem.message else {})
    return Reply(problem.status, dumps({"status": "error", "code": problem.code, "data": data}))


def _stream(items: Iterator[list[Any]]) -> Iterator[str]:
    """Yield the envelope around a list that is read in batches."""
    separator = '{"status":"ok","data":['
    for batch in items:
        yield separator + dumps(batch)[1:-1]
        separator = ","
    yield "]}" if separator == "," else separator + "]}"


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
    is_limited=True,
    time_outs=lambda settings: settings.call_time_outs,
)
