"""Fill a database with wagers."""

import multiprocessing

from tests.bench import load
from wallet_hooks import clock
from wallet_hooks.database import open_engine
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.messages import Callback
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.sportsbook.service import process_batch
from wallet_hooks.web.requests import new_request_id


def fill(url: str, wagers: int) -> None:
    """Place wagers with the code of the service, without HTTP, from two processes."""
    half = wagers // 2
    firsts = [10**8, 10**8 + half]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(_fill_from, [(url, first, half) for first in firsts])


def _fill_from(url: str, first: int, count: int) -> None:
    engine = open_engine(Settings(database_url=url, lock_timeout=30, statement_timeout=60), for_callbacks=True)
    brands = read_directory(engine).brands
    for numbers in load.chunks(first, count // 1000, 1000):
        body = load.placed(numbers)
        now = clock.now()
        place_bets = read_place_bets(body)
        callback = Callback(new_request_id(now), "/bets", place_bets, brands, "", b"{}", now, clock.monotonic())
        with engine.begin() as connection:
            process_batch(connection, [callback], read_clock=clock.now)
    engine.dispose()
