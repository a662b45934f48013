"""Betslip messages as plain values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

BETSLIP, PMM, CLOSED = "betslip", "pmm", "betslip_closed"
SUCCESS, FAILED, BLACKLIST = "success", "failed", "blacklist"


class Message(NamedTuple):
    """A message of a known type. `ts` is the frame's, `body` the object as it was sent, numbers as texts.

    `account` is the bookmaker account (bookie, username) of a pmm, else None.
    """

    type: str
    betslip_id: str
    ts: Decimal | None
    body: Mapping[str, Any]
    account: tuple[str, str] | None = None

    def is_newer_than(self, ts: Decimal | None) -> bool:
        """Return whether the message replaces a state of an instant that arrived before it.

        Where one of the two has no instant, or both have the same, the later arrival is the newer one.
        """
        return self.ts is None or ts is None or self.ts >= ts


class BadMessage(NamedTuple):
    """A message of an array that is refused: its place from 0, and what is wrong with it."""

    place: int
    error: Any
