"""Betslip messages: how many pmm messages a second the intake takes."""

import json
from collections.abc import Iterator

from tests.bench import load
from tests.bench.load import Measured

PER_REQUEST = 100
_BETSLIPS = 1000
_ACCOUNTS = 5
_PATH = "/betslips/messages"


def announce(address: str) -> None:
    """Announce betslips, each of a customer of its own."""
    load.send(address, _PATH, (_array("betslip", betslips) for betslips in _chunks(_BETSLIPS // PER_REQUEST)))


def messages(address: str, requests: int) -> Measured:
    """Send arrays of pmm messages; return requests a second."""
    bodies = [_array("pmm", betslips) for betslips in _chunks(requests)]
    return load.send(address, _PATH, bodies, connections=8)


def _chunks(count: int) -> Iterator[range]:
    return load.chunks(0, count, PER_REQUEST)


def _array(type_: str, numbers: range) -> bytes:
    return json.dumps(
        [[type_, _betslip(number) if type_ == "betslip" else _pmm(number)] for number in numbers]
    ).encode()


def _betslip(number: int) -> dict[str, object]:
    return {"betslip_id": f"{number % _BETSLIPS:032}", "sport": "fb", "customer_username": f"c{number + 1}"}


def _pmm(number: int) -> dict[str, object]:
    """Return a message as large as the document's example."""
    offer = {"price": 2.16, "max": ["EUR", 278.57 + number % 7], "min": ["EUR", 2.0]}
    return {
        "betslip_id": f"{number % _BETSLIPS:032}",
        "sport": "fb",
        "event_id": "2016-10-26,245,234",
        "bookie": "bf",
        "username": f"_40a78ed{number // _BETSLIPS % _ACCOUNTS}_",
        "bet_type": "for,h",
        "status": {"code": "success"},
        "price_list": [{"bookie": offer, "effective": offer}] * 2,
    }
