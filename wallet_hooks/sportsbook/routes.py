"""POST /bets, /winners and /bets/cancel: bodies become requests, outcomes become HTTP answers."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from flask import Flask
from marshmallow import ValidationError
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import Fault, fault_of
from wallet_hooks.database.deadlines import answer_within
from wallet_hooks.errors import TryAgainError
from wallet_hooks.group_commit import LARGEST_GROUP
from wallet_hooks.identity.credentials import Denial, ReceivedCall, Scope, authenticate
from wallet_hooks.identity.directory import Directory, DirectoryCache
from wallet_hooks.logs import log_together
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.commits import CallbackCommits
from wallet_hooks.sportsbook.messages import (
    BETS_PATH,
    CANCEL_PATH,
    WINNERS_PATH,
    Answer,
    Callback,
    CancelBets,
    Declined,
    ProviderRequest,
    Rejected,
    answer_of,
)
from wallet_hooks.sportsbook.schemas import read_cancel_bets, read_place_bets, read_settle_bets
from wallet_hooks.telemetry import CALLBACK_ERRORS, CALLBACK_SECONDS, CALLBACKS
from wallet_hooks.web import api
from wallet_hooks.web.api import AnsweredCall, Api, ApiRequest, Call, Endpoint, GroupedApi, Postponed, Problem, Reply
from wallet_hooks.web.call_groups import LOCK_RETRY_SECONDS
from wallet_hooks.web.causes import cause_of
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import RejectedBodyError
from wallet_hooks.web.source import read_address
from wallet_hooks.web.strict_json import InvalidJSONError
from wallet_hooks.web.throttle import Throttle

# Body bytes stored for unauthenticated requests.
UNAUTHENTICATED_BODY_CAP = 4096
# Requests without rights, or not read, that a worker stores in a minute, of each code: anybody can send them.
REJECTED_CAP = 100
_PAUSE = 0.01  # seconds between a thread's tries of a callback whose customer is locked


class CallbackRoute(NamedTuple):
    """A callback's path, what reads its body, and whether only a provider's administrator may call it."""

    path: str
    read: Callable[[bytes], ProviderRequest]
    needs_admin: bool


_ROUTES = (
    CallbackRoute(BETS_PATH, read_place_bets, needs_admin=False),
    CallbackRoute(WINNERS_PATH, read_settle_bets, needs_admin=True),
    CallbackRoute(CANCEL_PATH, read_cancel_bets, needs_admin=True),
)
_ROUTES_BY_PATH = {route.path: route for route in _ROUTES}


class CallbackRoutes:
    """The three routes over the queues of group commits.

    A callback with a customer that another transaction has locked does not hold up its group: it waits for the lock in
    a queue beside it.
    """

    def __init__(self, engine: Engine, settings: Settings, countries: Countries) -> None:
        self._settings = settings
        self._directory = DirectoryCache(engine, clock.monotonic)

        def locate(ip: str | None) -> str | None:
            return countries.of(read_address(ip))

        self._commits = CallbackCommits(engine, settings, locate, wait=False)
        self._waiting_commits = CallbackCommits(engine, settings, locate, wait=True)
        self._stored_rejections = Throttle(REJECTED_CAP, seconds=60)
        for route in _ROUTES:  # alerts compare counts: the first failure must be an increase, not a new series
            for status in ("500", "503"):
                CALLBACKS.labels(route.path, status)

    def endpoints(self) -> list[Endpoint]:
        return [Endpoint("POST", route.path, route.path, partial(self._answer, route)) for route in _ROUTES]

    def grouped(self) -> GroupedApi:
        """Return the routes for a server that collects requests."""
        endpoints = {endpoint.path: endpoint for endpoint in self.endpoints()}
        return GroupedApi(
            api=CALLBACKS_API,
            settings=self._settings,
            endpoints=endpoints,
            answer=self._answer_group,
            busy=answer_of(Declined("try_again")),
            refresh=self._directory.refresh,
            largest_group=LARGEST_GROUP,
        )

    def _answer(self, route: CallbackRoute, call: ApiRequest) -> Answer:
        try:
            with answer_within(self._settings.callback_time_outs.answer):
                callback = _callback(route, call, self._directory.get())
            return self._unstored_answer(callback) or self._submit(callback)
        except Exception as error:
            result = _answer_to(error)
            if isinstance(result, Exception):
                raise
            return result

    def _submit(self, callback: Callback) -> Answer:
        """Commit a callback; as in `CallGroups`, it is tried again for a moment before it waits for its locks."""
        until = clock.monotonic() + LOCK_RETRY_SECONDS
        answer = self._commits.submit(callback)
        while answer is None and clock.monotonic() < until:
            time.sleep(_PAUSE)
            answer = self._commits.submit(callback)
        if answer is None:
            answer = self._waiting_commits.submit(callback)
        assert answer is not None, "a group that waits for locks leaves no callback out"
        return answer

    def _unstored_answer(self, callback: Callback) -> Answer | None:
        """Return the answer to a callback that is not stored, because too many without rights were; else None."""
        request = callback.request
        if isinstance(request, Rejected) and request.code != "invalid_request":
            return None if self._stored_rejections.allows(request.code) else answer_of(request)
        return None

    def _prepare(self, call: Call, directory: Directory) -> Callback | Answer | Exception:
        """Return the callback, its answer if it is not stored, or the error; a callback is read only once."""
        prepared: Callback | None = call.request.prepared
        if prepared is not None:
            return prepared
        try:
            callback = _callback(_ROUTES_BY_PATH[call.endpoint.path], call.request, directory)
        except Exception as error:
            return error
        if (answer := self._unstored_answer(callback)) is not None:
            return answer
        call.request.prepared = callback
        return callback

    def _answer_group(self, calls: Sequence[Call], wait: bool) -> list[Answer | Exception | Postponed | None]:
        with answer_within(self._settings.callback_time_outs.answer):
            try:
                directory = self._directory.get()
                prepared = [self._prepare(call, directory) for call in calls]
                commits = self._waiting_commits if wait else self._commits
                answers = iter(commits.run_together([one for one in prepared if isinstance(one, Callback)]))
            except Exception as error:
                return [_answer_to(error) for _ in calls]
        results = [next(answers) if isinstance(one, Callback) else one for one in prepared]
        return [_answer_to(result) if isinstance(result, Exception) else result for result in results]


def _callback(route: CallbackRoute, call: ApiRequest, directory: Directory) -> Callback:
    body, request = _read(route, call, directory)
    return Callback(call.id, route.path, request, directory.brands, call.source.text, body, call.now, call.started)


def _answer_to(error: Exception) -> Answer | Exception:
    """Return the answer to an error of the database; the error itself if it is a defect."""
    fault = fault_of(error)
    if fault is Fault.OUT_OF_RANGE:
        return answer_of(Rejected("invalid_request", {"_body": ["an amount is out of range"]}))
    if fault is Fault.OTHER and not isinstance(error, TryAgainError):
        return error
    return answer_of(Declined("try_again"))


def _read(route: CallbackRoute, call: ApiRequest, directory: Directory) -> tuple[bytes, ProviderRequest]:
    """Return the raw body and its request, or why it is rejected. Authentication comes first, over the raw bytes."""
    try:
        body = call.body()
    except RejectedBodyError as error:
        return b"", Rejected(error.code)
    received = ReceivedCall(call.headers, body, call.source, call.now, route.needs_admin, call.settings.jwt_leeway)
    scope = authenticate(received, directory.providers)
    if isinstance(scope, Denial):
        return body[:UNAUTHENTICATED_BODY_CAP], Rejected(scope.value)
    try:
        request = route.read(body)
    except (InvalidJSONError, ValidationError) as error:
        cause = cause_of(error)
        assert cause is not None
        return body, Rejected(cause[0], cause[2])
    if _is_within(scope, request, directory):
        return body, request
    code = _denial_of(received, scope, request, directory)
    return body[: None if code == "forbidden" else UNAUTHENTICATED_BODY_CAP], Rejected(code)


def _denial_of(received: ReceivedCall, scope: Scope, request: ProviderRequest, directory: Directory) -> str:
    """Return why a caller may not name the request's brands.

    Where all providers that accept the call need no credentials, the caller may have sent wrong ones for the brands
    that it names: then it is unauthenticated, not forbidden.
    """
    providers = {(one.client, one.game): one for one in directory.providers}
    if all(providers[pair].auth == "none" for pair in scope):
        named = ({(bet.key.client, bet.key.game) for bet in request.bets} & providers.keys()) - scope
        denial = authenticate(received, [providers[pair] for pair in named])
        if named and isinstance(denial, Denial):
            return denial.value
    return Denial.FORBIDDEN.value


def _is_within(scope: Scope, request: ProviderRequest, directory: Directory) -> bool:
    """Return whether the caller is authorised for every brand and game that it names.

    A brand that does not exist is refused later, bet by bet; a cancel for one would be stored, so it is refused here.
    """
    return all(
        (bet.key.client, bet.key.game) in scope
        or (bet.key.client not in directory.brands and not isinstance(request, CancelBets))
        for bet in request.bets
    )


def _reply(answer: Answer) -> Reply:
    return Reply(answer.status, answer.body, code=answer.code)


def _failure(problem: Problem) -> Reply:
    return Reply(problem.status, json.dumps({"error": problem.code}))


def _observe(answered: Sequence[AnsweredCall]) -> None:
    counts = Counter((one.call.endpoint.path, one.reply.status, one.reply.code) for one in answered)
    for (path, status, code), count in counts.items():
        CALLBACKS.labels(path, str(status)).inc(count)
        if code is not None:
            CALLBACK_ERRORS.labels(code).inc(count)
    seconds = {path: CALLBACK_SECONDS.labels(path) for path, _, _ in counts}
    for one in answered:
        seconds[one.call.endpoint.path].observe(one.seconds)
    log_together("callback", [one.log_entry(path=one.call.endpoint.path) for one in answered])


CALLBACKS_API = Api(name="sportsbook", prefix="/", success=_reply, failure=_failure, observe=_observe)


def callbacks_alone(engine: Engine, settings: Settings, countries: Countries) -> Flask:
    """Return an application with the callbacks alone, for replays."""
    app = Flask("callbacks", static_folder=None)
    endpoints = CallbackRoutes(engine, settings, countries).endpoints()
    app.register_blueprint(api.blueprint(CALLBACKS_API, endpoints, settings))
    api.register_error_handlers(app, [CALLBACKS_API])
    return app
