"""Callbacks that are decided together, in one group."""

import json
from collections.abc import Callable

from tests.world import Item, World
from wallet_hooks import clock
from wallet_hooks.database.writes import transaction
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.sportsbook.messages import BETS_PATH, CANCEL_PATH, WINNERS_PATH, Callback, ProviderRequest
from wallet_hooks.sportsbook.schemas import read_cancel_bets, read_place_bets, read_settle_bets
from wallet_hooks.sportsbook.service import process_batch
from wallet_hooks.web.requests import new_request_id

_READERS: dict[str, Callable[[bytes], ProviderRequest]] = {
    BETS_PATH: read_place_bets,
    WINNERS_PATH: read_settle_bets,
    CANCEL_PATH: read_cancel_bets,
}


def statuses_of_group(world: World, *sent: tuple[str, Item]) -> list[int]:
    """Send items, each to a path, as one group, and return the statuses of their answers."""
    brands, now = read_directory(world.engine).brands, clock.now()
    callbacks = []
    for path, item in sent:
        body = json.dumps({"bets" if path == BETS_PATH else "pools": [item]}).encode()
        request = _READERS[path](body)
        callbacks.append(
            Callback(new_request_id(now), path, request, brands, "127.0.0.1", body, now, clock.monotonic())
        )
    with transaction(world.callbacks_engine) as connection:
        answers = process_batch(connection, callbacks, read_clock=clock.now)
    return [answer.status for answer in answers if answer]
