"""The limits gateway (seeds/003): six calls, with the player's session in x-auth-token."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from flask import Blueprint, Response, json, request
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.customers.callers import authenticate
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.protocol import Office
from wallet_hooks.database import Fault, fault_of, locked, reading, run_again, writing
from wallet_hooks.errors import RefusedError, UnauthenticatedError
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import betting_result_since
from wallet_hooks.limits import quotes, schemas, service
from wallet_hooks.limits.models import RealityCheck
from wallet_hooks.limits.service import Player, Standing, player_of
from wallet_hooks.telemetry import LOG
from wallet_hooks.web.requests import JSON, RejectedBodyError, new_request_id, read_body
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

PREFIX = "/gateway/limits/"
_BODY_CAP = 64 * 1024


class Gateway(NamedTuple):
    """A call that was let in. `body` is what was sent, None for a GET."""

    office: Office
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


class UnknownVersionError(Exception):
    """There is v1 and nothing else."""


Answer = tuple[int, Any]
View = Callable[..., Answer]


def blueprint(office: Office) -> Blueprint:
    gateway = Blueprint("limits", __name__)
    for method, path, view in ROUTES:
        name = f"{method.lower()}_{view.__name__}_{path.count('swap')}"
        answer = partial(_answer, office, view)
        gateway.add_url_rule(f"{PREFIX}<version>{path}", name, answer, methods=[method], strict_slashes=False)
    return gateway


def show_limits(call: Gateway) -> Answer:
    """What is in force and what is pending, and how the session went so far."""
    with reading(call.office.engine) as session:
        player = call.player(session)
        standing = Standing(session, player, now=call.now)
        usage = service.usage_of(session, player, now=call.now)
        check = session.get(RealityCheck, call.customer_id)
        period = check.period if check else None
        told = _session_data(session, call, player)
        return 200, schemas.limits_data(standing, usage, reality_check=period, session=told)


def calculate(call: Gateway) -> Answer:
    """What a change would come to; nothing is changed. The answer goes into the update."""
    with writing(call.office.engine) as session:
        player = call.player(session)
        asked = schemas.read_calculate(call.body, currency=player.customer.currency, policy=player.policy)
        answer = quotes.known_answer(session, player, asked)
        if answer is None:
            standing = Standing(session, player, now=call.now)
            effective = quotes.preview(standing, asked.wanted, by=asked.by)
            usage = service.usage_of(session, player, now=call.now)
            answer = schemas.calculated(standing, asked, effective, usage, player.customer.currency)
            quotes.store(session, standing, asked, answer)
        return 200, answer


def update(call: Gateway) -> Answer:
    """Make the changes that were calculated."""
    uuid, body = schemas.read_update(call.body)
    with writing(call.office.engine) as session:
        player = call.player(session, lock=True)
        standing = Standing(session, player, now=call.now)
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
    with writing(call.office.engine) as session:
        standing = _changeable(session, call)
        rows = service.swap(session, standing, ids)
        return 200, schemas.swapped_data(rows, standing.player.customer.currency)


def delete(call: Gateway) -> Answer:
    """Give up pending limits."""
    if set(call.body) != {"row_id"}:
        raise ValidationError({"row_id": ["A list of row ids is expected."]})
    ids = schemas.read_row_ids(call.body["row_id"])
    with writing(call.office.engine) as session:
        service.delete(session, _changeable(session, call), ids)
        return 204, None


def show_metadata(call: Gateway, currency: str) -> Answer:
    """What a page for editing limits offers."""
    money.decimals(currency)
    with reading(call.office.engine) as session:
        return 200, schemas.metadata(call.player(session).policy, currency)


ROUTES: tuple[tuple[str, str, View], ...] = (
    ("GET", "/player/limits/<brand_id>", show_limits),
    ("POST", "/player/limits/calculate/<brand_id>", calculate),
    ("PUT", "/player/limits/<brand_id>", update),
    ("PUT", "/player/delete/limits/<brand_id>", swap_or_delete),
    ("PUT", "/player/swap/limits/<brand_id>", swap),
    ("GET", "/meta-data/<brand_id>/<currency>", show_metadata),
)


def error_response(message: str, code: str, status: int = 400) -> Response:
    """A refusal in the source's envelope."""
    return _json(status, {"errMsg": f"invalid input - {message}", "code": code})


def defect_response() -> Response:
    return _json(500, {"result": "internal server error"})


def _answer(office: Office, view: View, version: str, brand_id: str, **path: str) -> Response:
    started, now = clock.monotonic(), clock.now()
    id_ = new_request_id(now)
    try:
        response = _json(*_run(office, view, version, brand_id, now, path))
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        response = refusal
    response.headers["X-Request-Id"] = id_
    ms = round((clock.monotonic() - started) * 1000, 3)
    LOG.info("call", request_id=id_, method=request.method, route=view.__name__, status=response.status_code, ms=ms)
    return response


def _run(office: Office, view: View, version: str, brand_id: str, now: datetime, path: dict[str, str]) -> Answer:
    if version != "v1":
        raise UnknownVersionError
    token, idle = request.headers.get("x-auth-token", ""), office.session_idle
    caller, login = authenticate(office.engine, token, now=now, idle=idle)
    if caller is None or login is None:
        raise UnauthenticatedError("invalid token")
    if brand_id != str(caller.brand_id):
        raise RefusedError("invalid_brand", "invalid brand id")
    body = None
    if request.method not in ("GET", "HEAD"):
        body = read_json(read_body(request.environ, cap=min(office.settings.body_cap, _BODY_CAP)))
    call = Gateway(office, caller.id, login, body, now)
    return run_again(lambda: view(call, **path))


def _changeable(session: Session, call: Gateway) -> Standing:
    """The limits of a player whose brand lets pending ones be swapped and deleted."""
    player = call.player(session, lock=True)
    if not player.policy.swap_delete_enabled:
        raise RefusedError("not_available", "not available for this brand")
    return Standing(session, player, now=call.now)


def _session_data(session: Session, call: Gateway, player: Player) -> dict[str, Any]:
    """For reality checks: how long the session has run, and what came of it."""
    customer = player.customer
    wallet = chart.player(customer.id, customer.currency)
    result = betting_result_since(session, wallet, since=call.login.created_at)
    return {
        "started_at": call.login.created_at.isoformat(),
        "elapsed_minutes": int((call.now - call.login.created_at).total_seconds() // 60),
        "net_result": money.format_amount(result, customer.currency),
        "currency": customer.currency,
    }


def _json(status: int, document: Any) -> Response:
    body = "" if status == 204 else json.dumps(document)
    return Response(body, status, content_type=JSON)


def _refusal(error: Exception) -> Response | None:
    """What the caller is told of an error; None for a defect of ours."""
    match error:
        case UnknownVersionError():
            return error_response("unknown version", "unknown_version", 404)
        case UnauthenticatedError():
            return error_response("invalid token", "invalid_token", 401)
        case RefusedError():
            return error_response(str(error), error.code)
        case ValidationError():
            return error_response(_told(error.normalized_messages()), "invalid_request")  # type: ignore[no-untyped-call]
        case RejectedBodyError():
            return error_response(error.code.replace("_", " "), error.code)
        case InvalidJSONError() | money.MoneyError():
            return error_response(str(error), "invalid_request")
    fault = fault_of(error)
    if fault is Fault.OTHER:
        return None
    if fault is Fault.OUT_OF_RANGE:
        return error_response("a number is out of range", "invalid_request")
    response = _json(503, {"result": "try again"})
    response.headers["Retry-After"] = "1"
    return response


def _told(messages: dict[str, Any]) -> str:
    """The first thing that is wrong, with where it is."""
    where, what = next(iter(messages.items()))
    if isinstance(what, dict):
        return f"{where}.{_told(what)}"
    first = what[0] if isinstance(what, list) else what
    return str(first) if where == "_schema" else f"{where}: {first}"
