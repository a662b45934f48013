"""Betslip messages as plain values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from wallet_hooks.betslips.bounds import bounds_of_prices
from wallet_hooks.betslips.models import StakeBounds
from wallet_hooks.customers.usernames import is_username
from wallet_hooks.web.strict_json import write_json

BETSLIP, PMM, CLOSED = "betslip", "pmm", "betslip_closed"
SUCCESS, FAILED, BLACKLIST = "success", "failed", "blacklist"

BookieLogin = tuple[str, str]


class Message(NamedTuple):
    """A message of a known type. `ts` is the frame's instant, `body` the object as it was sent, as JSON.

    A pmm has the bookmaker account (bookie, username) and the stakes that it takes. `closes` says that the
    message closes its betslip; `customer` is the username that a betslip message names, None where it cannot be one.
    """

    type: str
    betslip_id: str
    ts: Decimal | None
    body: str
    bookie_login: BookieLogin | None = None
    bounds: StakeBounds | None = None
    closes: bool = False
    customer: str | None = None

    def is_newer_than(self, ts: Decimal | None) -> bool:
        """Return whether the message replaces a state of an instant that arrived before it.

        Where one of the two has no instant, or both have the same, the later arrival is the newer one.
        """
        return self.ts is None or ts is None or self.ts >= ts

    def is_after(self, other: "Message") -> bool:
        """Return whether both have an instant, and the other's is not a later one."""
        return self.ts is not None and other.ts is not None and other.ts <= self.ts


class BadMessage(NamedTuple):
    """A message of an array that is refused: its position from 0, and what is wrong with it."""

    position: int
    error: Any


def message_of(type_: str, ts: Decimal | None, body: Mapping[str, Any]) -> Message:
    """Return a valid body, as the strict parser reads it, as a message."""
    id_, text = body["betslip_id"], write_json(body)
    if type_ == PMM:
        prices = body.get("price_list") or () if body["status"]["code"] == SUCCESS else ()
        return Message(type_, id_, ts, text, (body["bookie"], body["username"]), bounds_of_prices(prices))
    named = body.get("customer_username") if type_ == BETSLIP else None
    customer = named if named is not None and is_username(named) else None
    closes = type_ == CLOSED or body.get("is_open") is False
    return Message(type_, id_, ts, text, closes=closes, customer=customer)
