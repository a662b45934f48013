"""Single bets of three brands: with a schema for each, against all brands together."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from statistics import median

from tests.bench import load
from tests.bench.load import CUSTOMERS, Measured
from tests.bench.serving import served
from tests.world import bet

BRANDS = ("acme", "nordbet", "west")
_LAYOUTS = ("off", "on")
_CONNECTIONS = (load.CONNECTIONS, 256)
_TURNS = 5


def show(new_database: Callable[[str, bool], str], seconds: int, report: Callable[[str, Measured], None]) -> None:
    """Measure in turns, and print the ratio. `new_database` takes a name, and whether each brand has a schema."""
    with ExitStack() as services:
        addresses = {}
        for layout in _LAYOUTS:
            url = new_database(f"brands_{layout}", layout == "on")
            settings = {"WALLET_HOOKS_BRAND_SCHEMAS": layout}
            addresses[layout] = services.enter_context(served(url, settings=settings)).address
        for address in addresses.values():
            load.send(address, "/bets", _bodies(1), seconds=3)
        for number, connections in enumerate(_CONNECTIONS, 1):
            _compare(addresses, number * 10**8, seconds, connections, report)


def _compare(
    addresses: Mapping[str, str], first: int, seconds: int, connections: int, report: Callable[[str, Measured], None]
) -> None:
    measured: dict[str, list[Measured]] = {layout: [] for layout in addresses}
    for turn in range(_TURNS):
        for layout, address in addresses.items():
            bodies = _bodies(first + turn * 10**7)
            measured[layout].append(load.send(address, "/bets", bodies, seconds=seconds, connections=connections))
    report(f"bets of {len(BRANDS)} brands, {connections} connections", measured["off"][-1])
    report("  a schema for each brand", measured["on"][-1])
    pairs = zip(measured["on"], measured["off"], strict=True)
    ratio = median(on.per_second / off.per_second for on, off in pairs)
    print(f"{f'  against together, median of {_TURNS} turns':<44} {ratio:>9.2f}    (target: 0.90)")


def _bodies(first: int) -> Iterator[bytes]:
    for number in range(first, first + 10**7):
        client, user = BRANDS[number % len(BRANDS)], 1 + (number * 7919) % (CUSTOMERS // 10)
        item = bet(number, "1.00", user=user, client=client, pool=number % 500, overdraw="21.00")
        yield json.dumps({"bets": [item]}).encode()
