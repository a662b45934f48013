"""POST /bets, /winners and /bets/cancel (seeds/004): what comes in becomes values, what comes out becomes HTTP."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, request
from marshmallow import ValidationError
from sqlalchemy import Engine
from werkzeug.datastructures import EnvironHeaders
from werkzeug.exceptions import HTTPException

from wallet_hooks import clock
from wallet_hooks.database import Fault, fault_of
from wallet_hooks.errors import TryAgainError
from wallet_hooks.group_commit import GroupCommit
from wallet_hooks.identity.credentials import Call, Denial, Scope, authenticate
from wallet_hooks.identity.directory import Directory, DirectoryCache
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook import service
from wallet_hooks.sportsbook.bets import Accepted, CancelBets, Declined, Outcome, Request, Unreadable
from wallet_hooks.sportsbook.schemas import read_cancel_bets, read_place_bets, read_settle_bets
from wallet_hooks.sportsbook.service import Answer, Callback
from wallet_hooks.telemetry import CALLBACK_SECONDS, CALLBACKS, LOG, REFUSALS
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import RejectedBodyError, new_request_id, read_body, source_of
from wallet_hooks.web.source import Source, read_address
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

# A code that is not named here is a refusal that the player may be shown.
STATUS_OF_CODE = {
    "invalid_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "unknown_bet": 404,
    "conflict": 409,
    "bet_already_settled": 409,
    "superseded_settlement": 409,
    "length_required": 411,
    "body_too_large": 413,
    "not_json": 415,
    "try_again": 503,
}
REFUSED = 402
OK_BODY = '{"status":"OK"}'
# What an unproven caller can make us store of its body.
UNPROVEN_BODY_CAP = 4096

Read = Callable[[Any], Request]


class Callbacks:
    """The three routes over one queue of group commits."""

    def __init__(self, engine: Engine, settings: Settings, countries: Countries) -> None:
        self._settings = settings
        self._directory = DirectoryCache(engine, clock.monotonic)
        self._commits: GroupCommit[Callback, Answer] = GroupCommit(
            engine,
            lambda session, callbacks: service.answer(
                session, callbacks, render=render, now=clock.now(), locate=lambda ip: countries.of(read_address(ip))
            ),
            queue_size=settings.queue_size,
            patience=settings.request_timeout,
        )

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("sportsbook", __name__)
        for path, read, admin in (
            ("/bets", read_place_bets, False),
            ("/winners", read_settle_bets, True),
            ("/bets/cancel", read_cancel_bets, True),
        ):
            view = partial(self._answer, path, read, admin)
            blueprint.add_url_rule(path, path.strip("/").replace("/", "_"), view, methods=["POST"])
        return blueprint

    def _answer(self, path: str, read: Read, admin: bool) -> Response:
        started, now = clock.monotonic(), clock.now()
        id_ = new_request_id(now)
        environ = request.environ
        source = source_of(environ, proxy_hops=self._settings.proxy_hops)
        try:
            directory = self._directory.get()
            body, asked = self._read(Proof(environ, source, now, admin), read, directory)
            address = str(source.address or "")
            callback = Callback(id_, path, asked, directory.brands, address, body, now, started)
            answer = self._commits.submit(callback)
        except Exception as error:
            fault = fault_of(error)
            if fault is Fault.OTHER and not isinstance(error, TryAgainError):
                raise
            outcome: Outcome = Declined("try_again")
            if fault is Fault.OUT_OF_RANGE:
                outcome = Unreadable("invalid_request", {"_body": ["an amount is out of range"]})
            answer = Answer(outcome, *render(outcome))
        _observe(id_, path, answer, clock.monotonic() - started)
        return _response(id_, answer)

    def _read(self, proof: "Proof", read: Read, directory: Directory) -> tuple[bytes, Request]:
        """The raw body and what it asks, or why it is turned away: proof first, over the bytes as they came."""
        try:
            body = read_body(proof.environ, cap=self._settings.body_cap)
        except RejectedBodyError as error:
            return b"", Unreadable(error.code)
        headers = EnvironHeaders(proof.environ)
        call = Call(headers, body, proof.source, proof.now, proof.admin, self._settings.jwt_leeway)
        scope = authenticate(call, directory.providers)
        if isinstance(scope, Denial):
            return body[:UNPROVEN_BODY_CAP], Unreadable(scope.value)
        try:
            asked = read(read_json(body))
        except InvalidJSONError as error:
            return body, Unreadable("invalid_request", {"_body": [str(error)]})
        except ValidationError as error:
            return body, Unreadable("invalid_request", error.normalized_messages())  # type: ignore[no-untyped-call]
        return body, asked if _is_within(scope, asked, directory) else Unreadable("forbidden")


class Proof(NamedTuple):
    """What a callback is judged by before its body means anything."""

    environ: dict[str, Any]
    source: Source
    now: datetime
    admin: bool


def render(outcome: Outcome) -> tuple[int, str]:
    """The status and body of an answer, exactly as the provider's documentation shows them."""
    if isinstance(outcome, Accepted):
        return 200, OK_BODY
    code = _code(outcome)
    assert code is not None
    body: dict[str, Any] = {"error": code}
    if isinstance(outcome, Unreadable):
        if outcome.fields is not None:
            body["fields"] = outcome.fields
    elif outcome.bets:
        body["bets"] = [{"uid": uid, "error": error} for uid, error in outcome.bets]
    return STATUS_OF_CODE.get(code, REFUSED), json.dumps(body, separators=(",", ":"))


def _code(outcome: Outcome) -> str | None:
    if isinstance(outcome, Accepted):
        return None
    if isinstance(outcome, Declined | Unreadable):
        return outcome.code
    return outcome.bets[0][1]


def _is_within(scope: Scope, asked: Request, directory: Directory) -> bool:
    """Whether the caller speaks for every brand and game that it names.

    A brand that does not exist is refused later, bet by bet; but a cancel would be remembered, and is refused here.
    """
    return all(
        (bet.key.client, bet.key.game) in scope
        or (bet.key.client not in directory.brands and not isinstance(asked, CancelBets))
        for bet in asked.bets
    )


def callbacks_alone(engine: Engine, settings: Settings, countries: Countries) -> Flask:
    """An application of nothing but the callbacks, for replays."""
    app = Flask("callbacks", static_folder=None)
    app.register_blueprint(Callbacks(engine, settings, countries).blueprint())
    app.register_error_handler(HTTPException, answer_http_error)
    return app


def answer_http_error(error: HTTPException, envelope: Callable[[str, int], Response] | None = None) -> Response:
    """What no route answers: no such path, or no such method on it."""
    code, status = (error.name or "error").lower().replace(" ", "_"), error.code or 500
    response = (envelope or error_response)(code, status)
    if status == 405 and "Allow" in dict(error.get_headers()):
        response.headers["Allow"] = dict(error.get_headers())["Allow"]
    return response


def error_response(code: str, status: int) -> Response:
    """A refusal in the callbacks' envelope."""
    return Response(json.dumps({"error": code}), status, content_type="application/json")


def _response(id_: str, answer: Answer) -> Response:
    response = Response(answer.body, answer.status, content_type="application/json")
    response.headers["X-Request-Id"] = id_
    if answer.status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _observe(id_: str, path: str, answer: Answer, seconds: float) -> None:
    code = _code(answer.outcome)
    CALLBACKS.labels(path, str(answer.status)).inc()
    CALLBACK_SECONDS.labels(path).observe(seconds)
    if code is not None:
        REFUSALS.labels(code).inc()
    ms = round(seconds * 1000, 3)
    LOG.info("callback", request_id=id_, path=path, status=answer.status, code=code, ms=ms)
