"""What every HTTP API shares: how a WSGI request becomes an answer.

An `Api` declares what differs between protocols: its envelope, its names of the shared error codes, and the HTTP status
of each code. Request ids, timing, the log line, the retry after a database conflict, answers to defects and to unknown
paths are the same for all and live here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, request
from sqlalchemy import Engine
from werkzeug.datastructures import EnvironHeaders, MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import PathConverter
from werkzeug.wrappers import Request

from wallet_hooks import clock
from wallet_hooks.database import brand_engine, run_with_retries
from wallet_hooks.database.deadlines import answer_within
from wallet_hooks.logs import LOG
from wallet_hooks.settings import Settings, TimeOuts
from wallet_hooks.web import websocket
from wallet_hooks.web.causes import cause_of, log_defect
from wallet_hooks.web.concurrency import ConcurrencyLimit
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import JSON, Environ, new_request_id, read_body, source_of
from wallet_hooks.web.token_guesses import TooManyGuessesError

# The statuses of the codes that all APIs share; any other error code is 400.
_STATUSES = {
    "invalid_request": 400,
    "conflict": 400,
    "unauthenticated": 401,
    "session_expired": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "length_required": 411,
    "body_too_large": 413,
    "not_json": 415,
    "upgrade_required": 426,
    TooManyGuessesError.code: 429,
    "internal_error": 500,
    "not_implemented": 501,
    "busy": 503,
    "try_again": 503,
}
# Leaves a quarter of the worker's 32 threads (`server.py`) to other requests, while the database makes these wait.
_calls = ConcurrencyLimit("requests", running=16, admitted=24, timeout=1.0)
# The key in the application's `extensions` of its GroupedApi, for a server that collects requests.
GROUPED_API = "wallet_hooks_grouped_api"
_RETRY = {429: "1", 503: "1"}  # seconds
_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": websocket.VERSION}


class Problem(NamedTuple):
    """Why a request is refused: a code for programs, a message for readers, and an error for each invalid field."""

    code: str
    status: int
    message: str = ""
    fields: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Reply:
    """An HTTP answer before it is sent.

    `code` is the refusal's, for the log; `on_sent` is called once the answer was sent, or its connection was lost.
    """

    status: int
    body: str | Iterable[str] | Iterable[bytes]
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    on_sent: Callable[[], None] | None = None


# For answers to one caller: no intermediate cache may store them, and browsers must not guess their type.
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ApiRequest:
    """A request of any API: its id, source address, headers and body.

    It arrived at `now` (UTC), which is `started` in monotonic seconds. `body` is its whole body, if that was read
    already. `prepared` is what a GroupedApi keeps of it from one group for a later one.
    """

    def __init__(self, environ: Environ, settings: Settings, *, body: bytes | None = None) -> None:
        self.environ = environ
        self.settings = settings
        self.started = clock.monotonic()
        self.now = clock.now()
        self.id = new_request_id(self.now)
        self.headers = EnvironHeaders(environ)
        self.source = source_of(environ, proxy_hops=settings.proxy_hops)
        self.prepared: Any = None
        self._body = body

    @property
    def query(self) -> MultiDict[str, str]:
        """The parameters after the path."""
        return Request(self.environ).args

    def body(self, *, cap: int | None = None, media_types: Sequence[str] = (JSON,), lenient: bool = False) -> bytes:
        """The whole body, at most the setting's cap and `cap` bytes. For `lenient` see `read_body`.

        Raises RejectedBodyError.

        It is read once and kept, because a request is run again after a database conflict.
        """
        if self._body is None:
            limit = self.settings.body_cap if cap is None else min(cap, self.settings.body_cap)
            self._body = read_body(self.environ, cap=limit, media_types=media_types, lenient=lenient)
        return self._body


@dataclass(frozen=True, kw_only=True)
class ApiContext:
    """What the views of an API work with."""

    engine: Engine
    settings: Settings
    countries: Countries

    def of_brand(self, brand_id: int) -> "ApiContext":
        """Return the context for a brand, whose tables its engine sees."""
        return replace(self, engine=brand_engine(self.engine, brand_id))


class Endpoint(NamedTuple):
    """A path of an API. `answer` takes the request and the path's parts, and returns what the envelope takes.

    `name` is unique in the API; it names the Flask endpoint and the log line. Flask routes WebSocket handshakes only to
    an endpoint that `is_websocket`. `time_outs` override its API's.
    """

    method: str
    path: str
    name: str
    answer: Callable[..., Any]
    is_websocket: bool = False
    time_outs: Callable[[Settings], TimeOuts] | None = None


class Call(NamedTuple):
    """A request to an endpoint."""

    endpoint: Endpoint
    request: ApiRequest


class Postponed(Enum):
    """The result of a call that its group did not take: it belongs to one of the next."""

    POSTPONED = auto()


POSTPONED = Postponed.POSTPONED


class AnsweredCall(NamedTuple):
    """A call with its reply, `seconds` after its arrival."""

    call: Call
    reply: Reply
    seconds: float

    @property
    def ms(self) -> float:
        """The milliseconds of the log line."""
        return round(self.seconds * 1000, 3)

    def log_entry(self, **names: str) -> dict[str, Any]:
        """Return the fields of the log line; `names` are the API's own, for the endpoint."""
        request_id, reply = self.call.request.id, self.reply
        return {"request_id": request_id, **names, "status": reply.status, "code": reply.code, "ms": self.ms}


def _log(answered: Sequence[AnsweredCall]) -> None:
    for one in answered:
        endpoint = one.call.endpoint
        LOG.info("call", **one.log_entry(method=endpoint.method, route=endpoint.path))


def _as_returned(reply: Reply) -> Reply:
    return reply


@dataclass(frozen=True, kw_only=True)
class Api:
    """An HTTP API. `failure` and `success` are its envelope; by default its endpoints return replies themselves.

    `prefix` begins the paths that belong to it. `names` are its own names of shared codes, `statuses` the statuses of
    codes where they differ from the shared ones. `observe` logs and counts answers. The requests of all APIs with
    `is_limited` share a part of the server's threads. `time_outs` bound how long an answer may wait for the
    database in all.
    """

    name: str
    prefix: str
    failure: Callable[[Problem], Reply]
    success: Callable[[Any], Reply] = _as_returned
    statuses: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    observe: Callable[[Sequence[AnsweredCall]], None] = _log
    is_limited: bool = False
    time_outs: Callable[[Settings], TimeOuts] | None = None

    def refuse(self, code: str, message: str = "", fields: Mapping[str, Any] | None = None) -> Reply:
        """Return a refusal in the API's envelope; `code` is a shared one or a domain error's."""
        status = self.statuses.get(code, _STATUSES.get(code, 400))
        reply = self.failure(Problem(self.names.get(code, code), status, message, fields))
        reply.code = self.names.get(code, code)
        return reply


@dataclass(frozen=True, kw_only=True)
class GroupedApi:
    """Endpoints whose requests a server may collect and answer together.

    `endpoints` are by path. `answer` takes calls, and whether they may wait for each other's and other transactions'
    locks. It returns for each call what the endpoint's own `answer` returns, or its error, or None for a call that has
    to wait for a lock, or, without waiting for locks, POSTPONED for some of them. `busy` is the result of a call that
    has waited too long. `refresh` reads again what is cached for all calls; a server may call it beside them, so that
    they do not wait for it.
    """

    api: Api
    settings: Settings
    endpoints: Mapping[str, Endpoint]
    answer: Callable[[Sequence[Call], bool], Sequence[Any]]
    busy: Any
    refresh: Callable[[], None]
    largest_group: int


def answer(api: Api, call: Call, path: Mapping[str, Any]) -> Reply:
    """Answer a request. Every error becomes an answer: a refusal, a temporary fault, or a logged defect."""
    try:
        with _calls.slot() if api.is_limited else nullcontext(), _bounded(api, call):
            result = run_with_retries(lambda: call.endpoint.answer(call.request, **path))
    except Exception as error:
        result = error
    return _replies(api, [(call, result)])[0]


def _bounded(api: Api, call: Call) -> AbstractContextManager[None]:
    time_outs = call.endpoint.time_outs or api.time_outs
    return nullcontext() if time_outs is None else answer_within(time_outs(call.request.settings).answer)


def answer_group(grouped: GroupedApi, calls: Sequence[Call], *, wait: bool) -> list[Reply | Postponed | None]:
    """Answer calls that arrived together, each as `answer` does.

    Without `wait`, the result is None for a call that has to wait for a lock, and POSTPONED for one of a later group.
    """
    try:
        results = grouped.answer(calls, wait)
    except Exception as error:
        results = [error] * len(calls)
    answered = [pair for pair in zip(calls, results, strict=True) if not _is_left_out(pair[1])]
    replies = iter(_replies(grouped.api, answered))
    return [result if _is_left_out(result) else next(replies) for result in results]


def _is_left_out(result: Any) -> bool:
    return result is None or result is POSTPONED


def refuse_busy(grouped: GroupedApi, call: Call) -> Reply:
    """Answer a call that waits no longer, because the queue is full or its time is over."""
    return _replies(grouped.api, [(call, grouped.busy)])[0]


def _replies(api: Api, answered: Sequence[tuple[Call, Any]]) -> list[Reply]:
    """Return the replies to what the endpoints returned, or to their errors; they are logged and counted here."""
    replies = [(call, _reply(api, call, result)) for call, result in answered]
    now = clock.monotonic()
    api.observe([AnsweredCall(call, reply, now - call.request.started) for call, reply in replies])
    return [reply for _, reply in replies]


def _reply(api: Api, call: Call, result: Any) -> Reply:
    try:
        if isinstance(result, Exception):
            raise result
        reply = api.success(result)
    except Exception as error:
        reply = _refusal(api, error, request_id=call.request.id, path=call.endpoint.path)
    _add_headers(reply, call.request.id)
    return reply


def _add_headers(reply: Reply, request_id: str) -> None:
    reply.headers = _PRIVATE | reply.headers
    reply.headers["X-Request-Id"] = request_id
    if reply.status == 426:
        reply.headers |= _UPGRADE
    if reply.status in _RETRY:
        reply.headers["Retry-After"] = "60" if reply.code == TooManyGuessesError.code else _RETRY[reply.status]


class WholePath(PathConverter):
    """A part of a path that may have slashes, at its beginning, too: ids have them."""

    regex = ".+?"
    part_isolating = False


def blueprint(api: Api, endpoints: Iterable[Endpoint], settings: Settings, *, name: str | None = None) -> Blueprint:
    """Return the endpoints as Flask serves them; `name` distinguishes the blueprints of one API."""
    views = Blueprint(name or api.name, __name__)
    for endpoint in endpoints:
        view = partial(_view, api, endpoint, settings)
        # A rule without its trailing slash is matched with one, too. With one, werkzeug answers 404 instead of 405.
        rule = endpoint.path.rstrip("/")
        for is_websocket in (False, True) if endpoint.is_websocket else (False,):
            options: dict[str, Any] = {"methods": [endpoint.method], "strict_slashes": False, "websocket": is_websocket}
            views.add_url_rule(rule, endpoint.name, view, provide_automatic_options=False, **options)
    return views


def register_error_handlers(app: Flask, apis: Sequence[Api]) -> None:
    """Answer unknown paths and methods in the envelope of the API with the path's prefix, by default the last one."""

    def api_of(path: str) -> Api:
        return next((api for api in apis if path.startswith(api.prefix)), apis[-1])

    def unknown(error: HTTPException) -> Response:
        code = (error.name or "error").lower().replace(" ", "_")
        api = api_of(request.path)
        reply = api.failure(Problem(api.names.get(code, code), error.code or 500))
        headers = dict(error.get_headers())
        if "Allow" in headers:
            reply.headers["Allow"] = headers["Allow"]
        _add_headers(reply, new_request_id(clock.now()))
        return to_response(reply)

    def defect(error: Exception) -> Response:
        id_ = new_request_id(clock.now())
        reply = _refusal(api_of(request.path), error, request_id=id_, path=str(request.url_rule))
        _add_headers(reply, id_)
        return to_response(reply)

    app.register_error_handler(HTTPException, unknown)
    app.register_error_handler(Exception, defect)


def to_response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, reply.headers, content_type=reply.content_type)
    if reply.on_sent is not None:
        response.call_on_close(reply.on_sent)
    return response


def _view(api: Api, endpoint: Endpoint, settings: Settings, **path: Any) -> Response:
    return to_response(answer(api, Call(endpoint, ApiRequest(request.environ, settings)), path))


def _refusal(api: Api, error: Exception, *, request_id: str, path: str) -> Reply:
    cause = cause_of(error)
    if cause is None:
        log_defect(error, request_id=request_id, path=path)
        return api.refuse("internal_error")
    return api.refuse(*cause)
