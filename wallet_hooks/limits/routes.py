"""HTTP routes of the limits gateway (docs/protocols/limits.md). The player's login token is in x-auth-token."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, json
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.callers import find_login
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.play_sessions import play_session_of
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.errors import RefusedError, SessionExpiredError
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import betting_result_since
from wallet_hooks.limits import quotes, schemas, service
from wallet_hooks.limits.models import RealityCheck
from wallet_hooks.limits.service import CurrentLimits, Player, player_of
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiContext, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.strict_json import read_json
from wallet_hooks.web.token_guesses import looking_up_token

PREFIX = "/gateway/limits/"
_BODY_CAP = 64 * 1024


class GatewayCall(NamedTuple):
    """An authenticated call. `body` is the parsed JSON, None for a GET."""

    context: ApiContext
    customer_id: int
    login: LoginSession
    body: Any
    now: datetime

    def player(self, session: Session, *, lock: bool = False) -> Player:
        query = select(Customer).where(Customer.id == self.customer_id)
        if lock:
            query = locked(query, Customer)
        customer = session.scalars(query).one()
        return player_of(customer, brand_by_id(session, customer.brand_id))


GatewayAnswer = tuple[int, Any]
GatewayView = Callable[..., GatewayAnswer]


def blueprint(context: ApiContext) -> Blueprint:
    """Return the gateway's blueprint. It accepts the same login tokens as /v1."""
    endpoints = [
        Endpoint(method, f"{PREFIX}<version>{path}", view.__name__, partial(_run, context, view))
        for method, path, view in ROUTES
    ]
    return api.blueprint(LIMITS, endpoints, context.settings)


def show_limits(call: GatewayCall) -> GatewayAnswer:
    """Return the active and pending limits, the reality check, and the play session's start and net result."""
    with reading(call.context.engine) as session:
        player = call.player(session)
        current = CurrentLimits(session, player, now=call.now)
        usage = service.usage_of(session, player, now=call.now)
        check = session.get(RealityCheck, call.customer_id)
        period = check.period if check else None
        play_session = _play_session_data(session, call, player)
        return 200, schemas.limits_data(current, usage, reality_check=period, play_session=play_session)


def calculate(call: GatewayCall) -> GatewayAnswer:
    """Calculate the effect of a change and store it as a quote. No limit is changed; update applies the quote."""
    with writing(call.context.engine) as session:
        player = call.player(session, lock=True)
        requested = schemas.read_calculate(call.body, currency=player.customer.currency)
        current = CurrentLimits(session, player, now=call.now)
        answer = quotes.stored_quote(session, current, requested)
        if answer is None:
            effective = quotes.preview(current, requested.changes, changed_by=requested.changed_by)
            usage = service.usage_of(session, player, now=call.now)
            answer = schemas.calculated_data(current, requested, effective, usage)
            quotes.store(session, current, requested, answer)
        return 200, answer


def update(call: GatewayCall) -> GatewayAnswer:
    """Apply a calculated quote."""
    uuid, body = schemas.read_update(call.body)
    with writing(call.context.engine) as session:
        player = call.player(session, lock=True)
        current = CurrentLimits(session, player, now=call.now)
        period = quotes.apply(session, current, uuid, body)
        if period is not None:
            service.set_reality_check(session, player, period, now=call.now)
    return 202, "Updated"


def swap_or_delete(call: GatewayCall) -> GatewayAnswer:
    """Activate pending limits (an array of row ids), or cancel them (an object): the vendor has one path for both."""
    return delete(call) if type(call.body) is dict else swap(call)


def swap(call: GatewayCall) -> GatewayAnswer:
    """Confirm and activate pending limits whose cool-off is over."""
    ids = schemas.read_row_ids(call.body)
    with writing(call.context.engine) as session:
        current = _lock_changeable_limits(session, call)
        rows = service.swap(session, current, ids)
        return 200, schemas.swapped_data(rows, current.player.customer.currency)


def delete(call: GatewayCall) -> GatewayAnswer:
    """Cancel pending limits."""
    ids = schemas.read_deleted(call.body)
    with writing(call.context.engine) as session:
        service.delete(session, _lock_changeable_limits(session, call), ids)
        return 204, None


def show_metadata(call: GatewayCall, currency: str) -> GatewayAnswer:
    """Return the defaults, caps, frames and reality-check options for a currency."""
    money.decimals(currency)
    with reading(call.context.engine) as session:
        return 200, schemas.metadata(call.player(session).policy, currency)


ROUTES: tuple[tuple[str, str, GatewayView], ...] = (
    ("GET", "/player/limits/<brand_id>", show_limits),
    ("POST", "/player/limits/calculate/<brand_id>", calculate),
    ("PUT", "/player/limits/<brand_id>", update),
    ("PUT", "/player/delete/limits/<brand_id>", swap_or_delete),
    ("PUT", "/player/swap/limits/<brand_id>", swap),
    ("GET", "/meta-data/<brand_id>/<currency>", show_metadata),
)


def _run(
    context: ApiContext, view: GatewayView, request: ApiRequest, version: str, brand_id: str, **path: str
) -> GatewayAnswer:
    if version != "v1":
        raise RefusedError("unknown_version", "unknown version")
    caller, login = _authenticate(context, request)
    if brand_id != str(caller.brand_id):
        raise RefusedError("invalid_brand", "invalid brand id")
    body = None
    if request.environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        body = read_json(request.body(cap=_BODY_CAP))
    return view(GatewayCall(context.of_brand(caller.brand_id), caller.id, login, body, request.now), **path)


def _authenticate(context: ApiContext, request: ApiRequest) -> tuple[Caller, LoginSession]:
    token, idle = request.headers.get("x-auth-token", ""), context.settings.login_idle
    try:
        with looking_up_token(token, request.source.address):
            return find_login(context.engine, token, now=request.now, idle=idle, otherwise="invalid token")
    except SessionExpiredError:
        raise SessionExpiredError("invalid token") from None


def _lock_changeable_limits(session: Session, call: GatewayCall) -> CurrentLimits:
    """Return the current limits, locked.

    Raises RefusedError if the brand does not allow swap and delete, unless a limit waits for a confirmation that
    earlier rules asked for.
    """
    player = call.player(session, lock=True)
    current = CurrentLimits(session, player, now=call.now)
    if not player.policy.swap_delete_enabled and not current.needs_confirmation:
        raise RefusedError("not_available", "swap and delete are not available for this brand")
    return current


def _play_session_data(session: Session, call: GatewayCall, player: Player) -> dict[str, Any]:
    """Return duration and net result of the play session, for reality checks."""
    customer = player.customer
    wallet = chart.player(customer.id, customer.currency)
    began = play_session_of(customer).login_began_at or call.login.created_at
    result = betting_result_since(session, wallet, since=began)
    return {
        "started_at": began.isoformat(),
        "elapsed_minutes": int((call.now - began).total_seconds() // 60),
        "net_result": money.format_amount(result, customer.currency),
        "currency": customer.currency,
    }


def _success(answer: GatewayAnswer) -> Reply:
    status, document = answer
    return Reply(status, "" if status == 204 else json.dumps(document))


def _failure(problem: Problem) -> Reply:
    if problem.status == 500:
        return Reply(500, json.dumps({"result": "internal server error"}))
    if problem.status == 503:
        return Reply(503, json.dumps({"result": "try again"}))
    message = problem.message or (_first_message(problem.fields) if problem.fields else problem.code.replace("_", " "))
    return Reply(problem.status, json.dumps({"errMsg": f"invalid input - {message}", "code": problem.code}))


def _first_message(messages: Mapping[str, Any]) -> str:
    """Return the first validation error as `field: message`."""
    where, what = next(iter(messages.items()))
    if isinstance(what, dict):
        return f"{where}.{_first_message(what)}"
    first = what[0] if isinstance(what, list) else what
    return str(first) if where == "_schema" else f"{where}: {first}"


# The vendor documents only 400 for an invalid call, and 401 for an invalid token.
LIMITS = Api(
    name="limits",
    prefix=PREFIX,
    success=_success,
    failure=_failure,
    names={"unauthenticated": "invalid_token", "busy": "try_again"},
    statuses=dict.fromkeys(("length_required", "body_too_large", "not_json"), 400)
    | {"unknown_version": 404, "conflict": 503},
    is_limited=True,
    time_outs=lambda settings: settings.call_time_outs,
)
