"""Another program holds a customer's row, and the customer's bets keep arriving: what that costs the others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tests.bench import load
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import open_engine, writing
from wallet_hooks.settings import Settings

_CONNECTIONS = 4


@contextmanager
def held_row(url: str, address: str, customer: int) -> Iterator[None]:
    """Hold the row of a customer of acme, and send its bets over a few connections, while the block runs."""
    engine, stop = open_engine(Settings(database_url=url)), threading.Event()
    numbers = count(10**12)
    bodies = iter(lambda: b"" if stop.is_set() else load.placed([next(numbers)], customer=customer), b"")
    betting = threading.Thread(target=load.send, args=(address, "/bets", bodies), kwargs={"connections": _CONNECTIONS})
    with writing(engine) as session:
        customer_by_uid(session, client="acme", uid=str(customer), lock=True)
        betting.start()
        try:
            yield
        finally:
            stop.set()
            betting.join()
    engine.dispose()
