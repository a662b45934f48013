"""POST /betslips/messages, for providers; and the customers' calls under /v1 about their betslips."""

import json
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, select

from wallet_hooks import clock
from wallet_hooks.betslips.customer_feed import CustomerStream
from wallet_hooks.betslips.intake import MESSAGES_PATH, Body, parse_body, store_bodies
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.betslips.queries import betslips_data
from wallet_hooks.betslips.schemas import BetslipListSchema, BetslipStakeSchema, StreamSchema
from wallet_hooks.betslips.stream import Streams
from wallet_hooks.customers.callers import find_login
from wallet_hooks.database import reading
from wallet_hooks.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from wallet_hooks.identity.credentials import Denial, ReceivedCall, authenticate
from wallet_hooks.identity.directory import DirectoryCache
from wallet_hooks.identity.tokens import token_hash
from wallet_hooks.settings import Settings
from wallet_hooks.v1 import ApiCall, ListPage, V1Route, read_query
from wallet_hooks.web.api import Api, ApiContext, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.concurrency import ConcurrencyLimit
from wallet_hooks.web.token_guesses import looking_up_token
from wallet_hooks.web.websocket import handshake_headers, socket_of, take_over

STREAM_PATH = "/v1/stream/"
_PAGE = 100


class Intake:
    """Takes the messages of a provider. Credentials with the role admin are required.

    Few requests are stored at a time, and few wait: they share the threads of a worker with the callbacks.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._limit = ConcurrencyLimit(
            "requests with betslip messages", running=4, admitted=12, timeout=settings.request_timeout
        )
        self._directory = DirectoryCache(engine, clock.monotonic)

    def endpoint(self) -> Endpoint:
        return Endpoint("POST", MESSAGES_PATH, "betslip_messages", self.take)

    def take(self, request: ApiRequest) -> tuple[int, dict[str, Any]]:
        """Store the good messages of a request, for every brand and game of the caller; name the bad ones."""
        body = request.body()
        directory = self._directory.get()
        call = ReceivedCall(request.headers, body, request.source, request.now, True, self._settings.jwt_leeway)
        scope = authenticate(call, directory.providers)
        if isinstance(scope, Denial):
            raise ForbiddenError("") if scope is Denial.FORBIDDEN else UnauthenticatedError("")
        taken = parse_body(Body(request.id, request.now, request.source.text, body, request.started))
        with self._limit.slot():
            store_bodies(self._engine, [taken], {(directory.brands[client].id, game) for client, game in scope})
        return taken.status, taken.answer


class StreamOpening:
    """Opens customers' streams: authenticates the handshake, and hands the socket over once it is answered."""

    def __init__(self, context: ApiContext, streams: Streams) -> None:
        self._context = context
        self._streams = streams

    def endpoint(self) -> Endpoint:
        return Endpoint("GET", STREAM_PATH, "stream", self.open, is_websocket=True)

    def open(self, request: ApiRequest) -> Reply:
        """Answer 101 and begin a stream after `since`, for the session whose token is in the query string."""
        given = StreamSchema().load(read_query(request))
        engine, idle = self._context.engine, self._context.settings.login_idle
        expected = "token: the token of a login session is expected"
        with looking_up_token(given["token"], request.source.address):
            caller, _ = find_login(engine, given["token"], now=request.now, idle=idle, otherwise=expected)
        headers, connection = handshake_headers(request.environ), socket_of(request.environ)
        self._streams.check_capacity(caller.id)
        stream = CustomerStream(caller.brand_id, caller.id, token_hash(given["token"]), given.get("since"))
        return Reply(101, "", headers=headers, on_sent=lambda: self._streams.serve(take_over(connection), stream))


def list_betslips(context: ApiContext, call: ApiCall) -> ListPage:
    """List the caller's betslips, newest first; `next` is the `before` of the next page."""
    size = min(max(call.given.get("limit", _PAGE), 1), _PAGE)
    with reading(context.engine) as session:
        query = select(Betslip).where(Betslip.customer_id == call.customer.id)
        if "before" in call.given:
            query = query.where(Betslip.id < call.given["before"])
        found = list(session.scalars(query.order_by(Betslip.id.desc()).limit(size)))
        items = betslips_data(session, found)
    return ListPage(items, found[-1].id if len(found) == size else None)


def show_betslip(context: ApiContext, call: ApiCall, betslip_id: str) -> dict[str, Any]:
    """Show one of the caller's betslips, with the best price for a stake."""
    stake = Decimal(call.given["stake"]) if "stake" in call.given else None
    with reading(context.engine) as session:
        own = (Betslip.customer_id == call.customer.id, Betslip.betslip_id == betslip_id)
        betslip = session.scalars(select(Betslip).where(*own).order_by(Betslip.id.desc())).first()
        if betslip is None:
            raise NotFoundError(f"no betslip {betslip_id!r}")
        (data,) = betslips_data(session, [betslip], stake=stake)
    return data


ROUTES = (
    V1Route("GET", "/v1/betslips/", list_betslips, BetslipListSchema),
    V1Route("GET", "/v1/betslips/<betslip_id>/", show_betslip, BetslipStakeSchema),
)


def _success(answer: tuple[int, dict[str, Any]]) -> Reply:
    status, document = answer
    return Reply(status, json.dumps(document), code=document.get("error"))


def _failure(problem: Problem) -> Reply:
    fields = {"fields": problem.fields} if problem.fields else {}
    return Reply(problem.status, json.dumps({"error": problem.code, **fields}))


BETSLIPS_API = Api(
    name="betslips",
    prefix="/betslips/",
    success=_success,
    failure=_failure,
    names={"busy": "try_again"},
    time_outs=lambda settings: settings.message_time_outs,
)
