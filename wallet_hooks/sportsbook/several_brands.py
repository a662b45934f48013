"""Callbacks of several brands, or of none that exists, where each brand has a schema: one transaction over them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.ledger import service as ledger
from wallet_hooks.sportsbook.loading import Locate, ReadClock, load_state, no_country
from wallet_hooks.sportsbook.messages import Answer, Callback, CancelBets, PlaceBets, ProviderRequest, SettleBets
from wallet_hooks.sportsbook.saving import changes_of, save_deliveries
from wallet_hooks.sportsbook.service import answered, decide
from wallet_hooks.sportsbook.state import BettingState


def brand_of(callback: Callback) -> int | None:
    """Return the id of the one brand that a callback names; None for several, or for none that exists."""
    ids = {brand.id if brand else None for brand in map(callback.brands.get, _clients(callback.request))}
    return ids.pop() if len(ids) == 1 else None


def process_over_brands(
    connection: Connection,
    callbacks: Sequence[Callback],
    *,
    read_clock: ReadClock,
    locate: Locate = no_country,
    wait: bool = True,
) -> list[Answer | None]:
    """As `service.process_batch`, with the state of each brand from its schema, in the order of their ids.

    The callbacks are stored beside the shared tables. Of bets that name no brand that exists, nothing else is stored.
    """
    brands = callbacks[-1].brands
    named = {client for callback in callbacks for client in _clients(callback.request) if client in brands}
    clients = sorted(named, key=lambda client: brands[client].id)
    now = read_clock()
    empty_state = BettingState(now, {}, ledger.begin(recorded_at=now))
    states = {}
    for client in clients:
        requests = [_of_client(callback.request, client) for callback in callbacks]
        with seeing_brand(connection, brands[client].id):
            states[client] = load_state(connection, requests, brands, read_clock=read_clock, locate=locate, wait=wait)
    answers = [decide(callback, lambda client: states.get(client, empty_state)) for callback in callbacks]
    for client, state in states.items():
        with seeing_brand(connection, brands[client].id):
            changes_of(connection, state).run(connection)
    save_deliveries(connection, answered(callbacks, answers))
    return answers


def _clients(request: ProviderRequest) -> set[str]:
    return {bet.key.client for bet in request.bets}


def _of_client(request: ProviderRequest, client: str) -> ProviderRequest:
    """Return the part of a request that names a brand."""
    match request:
        case PlaceBets(bets):
            return PlaceBets(tuple(bet for bet in bets if bet.key.client == client))
        case SettleBets(bets):
            return SettleBets(tuple(bet for bet in bets if bet.key.client == client))
        case CancelBets(bets):
            return CancelBets(tuple(bet for bet in bets if bet.key.client == client))
        case _:
            return request
