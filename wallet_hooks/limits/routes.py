"""The limits gateway (seeds/003): six calls, with the player's session in x-auth-token."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, json
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.callers import find_login
from wallet_hooks.customers.models import Customer
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.errors import RefusedError, SessionExpiredError, UnauthenticatedError
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.identity.sessions import Caller
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import betting_result_since
from wallet_hooks.limits import quotes, schemas, service
from wallet_hooks.limits.models import RealityCheck
from wallet_hooks.limits.service import CurrentLimits, Player, player_of
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiContext, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.strict_json import read_json

PREFIX = "/gateway/limits/"
_BODY_CAP = 64 * 1024


class Gateway(NamedTuple):
    """A call that was let in. `body` is what was sent, None for a GET."""

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


Answer = tuple[int, Any]
View = Callable[..., Answer]


def blueprint(context: ApiContext) -> Blueprint:
    """The gateway's calls, over the same sessions as /v1."""
    endpoints = [
        Endpoint(method, f"{PREFIX}<version>{path}", view.__name__, partial(_run, context, view))
        for method, path, view in ROUTES
    ]
    return api.blueprint(LIMITS, endpoints, context.settings)


def show_limits(call: Gateway) -> Answer:
    """What is in force and what is pending, and how the session went so far."""
    with reading(call.context.engine) as session:
        player = call.player(session)
        standing = CurrentLimits(session, player, now=call.now)
        usage = service.usage_of(session, player, now=call.now)
        check = session.get(RealityCheck, call.customer_id)
        period = check.period if check else None
        told = _session_data(session, call, player)
        return 200, schemas.limits_data(standing, usage, reality_check=period, session=told)


def calculate(call: Gateway) -> Answer:
    """What a change would come to; nothing is changed. The answer goes into the update."""
    with writing(call.context.engine) as session:
        player = call.player(session, lock=True)
        asked = schemas.read_calculate(call.body, currency=player.customer.currency, policy=player.policy)
        standing = CurrentLimits(session, player, now=call.now)
        answer = quotes.known_answer(session, standing, asked)
        if answer is None:
            effective = quotes.preview(standing, asked.wanted, by=asked.by)
            usage = service.usage_of(session, player, now=call.now)
            answer = schemas.calculated(standing, asked, effective, usage)
            quotes.store(session, standing, asked, answer)
        return 200, answer


def update(call: Gateway) -> Answer:
    """Make the changes that were calculated."""
    uuid, body = schemas.read_update(call.body)
    with writing(call.context.engine) as session:
        player = call.player(session, lock=True)
        standing = CurrentLimits(session, player, now=call.now)
        period = quotes.apply(session, standing, uuid, body)
        if period is not None:
            service.set_reality_check(session, player, period, now=call.now)
    return 202, "Updated"


def swap_or_delete(call: Gateway) -> Answer:
    """A list swaps pending limits in, an object deletes them: the source has one path for both."""
    return delete(call) if type(call.body) is dict else swap(call)


def swap(call: Gateway) -> Answer:
    """Confirm pending limits whose time has come."""
    ids = schemas.read_row_ids(call.body)
    with writing(call.context.engine) as session:
        standing = _changeable(session, call)
        rows = service.swap(session, standing, ids)
        return 200, schemas.swapped_data(rows, standing.player.customer.currency)


def delete(call: Gateway) -> Answer:
    """Give up pending limits."""
    if set(call.body) != {"row_id"}:
        raise ValidationError({"row_id": ["A list of row ids is expected."]})
    ids = schemas.read_row_ids(call.body["row_id"])
    with writing(call.context.engine) as session:
        service.delete(session, _changeable(session, call), ids)
        return 204, None


def show_metadata(call: Gateway, currency: str) -> Answer:
    """What a page for editing limits offers."""
    money.decimals(currency)
    with reading(call.context.engine) as session:
        return 200, schemas.metadata(call.player(session).policy, currency)


ROUTES: tuple[tuple[str, str, View], ...] = (
    ("GET", "/player/limits/<brand_id>", show_limits),
    ("POST", "/player/limits/calculate/<brand_id>", calculate),
    ("PUT", "/player/limits/<brand_id>", update),
    ("PUT", "/player/delete/limits/<brand_id>", swap_or_delete),
    ("PUT", "/player/swap/limits/<brand_id>", swap),
    ("GET", "/meta-data/<brand_id>/<currency>", show_metadata),
)


def _run(context: ApiContext, view: View, request: ApiRequest, version: str, brand_id: str, **path: str) -> Answer:
    if version != "v1":
        raise RefusedError("unknown_version", "unknown version")
    caller, login = _authenticate(context, request)
    if brand_id != str(caller.brand_id):
        raise RefusedError("invalid_brand", "invalid brand id")
    body = None
    if request.environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        body = read_json(request.body(cap=_BODY_CAP))
    return view(Gateway(context, caller.id, login, body, request.now), **path)


def _authenticate(context: ApiContext, request: ApiRequest) -> tuple[Caller, LoginSession]:
    token, idle = request.headers.get("x-auth-token", ""), context.session_idle
    try:
        caller, login = find_login(context.engine, token, now=request.now, idle=idle)
    except SessionExpiredError:
        raise SessionExpiredError("invalid token") from None
    if caller is None or login is None:
        raise UnauthenticatedError("invalid token")
    return caller, login


def _changeable(session: Session, call: Gateway) -> CurrentLimits:
    """The limits of a player whose brand lets pending ones be swapped and deleted."""
    player = call.player(session, lock=True)
    if not player.policy.swap_delete_enabled:
        raise RefusedError("not_available", "not available for this brand")
    return CurrentLimits(session, player, now=call.now)


def _session_data(session: Session, call: Gateway, player: Player) -> dict[str, Any]:
    """For reality checks: how long the session has run, and what came of it."""
    customer = player.customer
    wallet = chart.player(customer.id, customer.currency)
    began = customer.session_began_at or customer.last_login_at or call.login.created_at
    result = betting_result_since(session, wallet, since=began)
    return {
        "started_at": began.isoformat(),
        "elapsed_minutes": int((call.now - began).total_seconds() // 60),
        "net_result": money.format_amount(result, customer.currency),
        "currency": customer.currency,
    }


def _success(answer: Answer) -> Reply:
    status, document = answer
    return Reply(status, "" if status == 204 else json.dumps(document))


def _failure(problem: Problem) -> Reply:
    if problem.status == 500:
        return Reply(500, json.dumps({"result": "internal server error"}))
    if problem.status == 503:
        return Reply(503, json.dumps({"result": "try again"}))
    message = problem.message or (_first(problem.fields) if problem.fields else problem.code.replace("_", " "))
    return Reply(problem.status, json.dumps({"errMsg": f"invalid input - {message}", "code": problem.code}))


def _first(messages: Mapping[str, Any]) -> str:
    """The first thing that is wrong, with where it is."""
    where, what = next(iter(messages.items()))
    if isinstance(what, dict):
        return f"{where}.{_first(what)}"
    first = what[0] if isinstance(what, list) else what
    return str(first) if where == "_schema" else f"{where}: {first}"


# The source documents no other status than 400 for what is wrong with a call, but for a token that is.
LIMITS = Api(
    name="limits",
    prefix=PREFIX,
    success=_success,
    failure=_failure,
    names={"unauthenticated": "invalid_token"},
    statuses=dict.fromkeys(("length_required", "body_too_large", "not_json"), 400)
    | {"unknown_version": 404, "conflict": 503},
)
