"""The account API: funds a second, and a page of a long statement at its beginning and at its end."""

import json
from datetime import timedelta

from sqlalchemy import select

from tests.bench import load
from tests.bench.load import Measured
from wallet_hooks import clock
from wallet_hooks.accounts_api.applications import create_application, create_versions
from wallet_hooks.customers.models import Customer
from wallet_hooks.database import open_engine, writing
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.directory import read_directory
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.messages import Callback
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.sportsbook.service import process_batch
from wallet_hooks.web.requests import new_request_id

USERNAME = "c1"
ENVIRONMENT = {"WALLET_HOOKS_ACCOUNTS_OPERATIONS_PER_SECOND": "1000000"}
_REST = "/exchange/account/rest/v1.0"
_FIRST = 13 * 10**8  # of the numbers of its bets, which no other part of the benchmark places
_STEP = 1000


def fill_statement(url: str, items: int) -> None:
    """Place as many bets of one customer as its statement shall have items."""
    engine = open_engine(Settings(database_url=url, lock_timeout=30, statement_timeout=60), for_callbacks=True)
    brands = read_directory(engine).brands
    for numbers in load.chunks(_FIRST, items // _STEP, _STEP):
        now = clock.now()
        place_bets = read_place_bets(load.placed(numbers, customer=1))
        callback = Callback(new_request_id(now), "/bets", place_bets, brands, "", b"{}", now, clock.monotonic())
        with engine.begin() as connection:
            (answer,) = process_batch(connection, [callback], read_clock=clock.now)
        assert answer is not None
        assert answer.status == 200, answer.body
    engine.dispose()


def credentials(url: str) -> dict[str, str]:
    """Return the headers of a session and an application key of the customer."""
    engine = open_engine(Settings(database_url=url))
    with writing(engine) as session:
        customer = session.scalars(select(Customer).where(Customer.username == USERNAME)).one()
        application = create_application(session, customer.id, "bench", limit=10, now=clock.now())
        key = create_versions(session, application)[0].key
        idle = timedelta(seconds=Settings().session_idle)
        token = login_sessions.start(session, customer_id=customer.id, source="", now=clock.now(), idle=idle)
    engine.dispose()
    return {"X-Authentication": token, "X-Application": key}


def funds(address: str, headers: dict[str, str], seconds: int) -> Measured:
    """Ask for the customer's funds for some seconds, with as many connections as one worker admits calls."""
    bodies = iter(lambda: b"{}", b"")
    return load.send(address, f"{_REST}/getAccountFunds/", bodies, seconds=seconds, connections=16, headers=headers)


def statement(address: str, headers: dict[str, str], seconds: int, *, first: int) -> Measured:
    """Ask for a page of 100 items from a position for some seconds."""
    body = json.dumps({"fromRecord": first}).encode()
    path = f"{_REST}/getAccountStatement/"
    return load.send(address, path, iter(lambda: body, b""), seconds=seconds, connections=4, headers=headers)
