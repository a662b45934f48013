"""The state that a betslip's messages leave. Pure: no database access.

Messages may arrive out of order, late or twice. What a message says is in force from its instant on, so the state is
the same in whatever order messages with different instants arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM, Message

Account = tuple[str, str]


@dataclass(slots=True)
class BetslipState:
    """A betslip: the newest message about it, its end, and the newest pmm of each bookmaker account.

    `late_prices` counts the pmm messages that came after the end, which changed nothing.
    """

    betslip: Message | None = None
    closed: Message | None = None
    prices: dict[Account, Message] = field(default_factory=dict)
    late_prices: int = 0

    @property
    def is_open(self) -> bool:
        return self.closed is None

    @property
    def close_reason(self) -> str | None:
        return None if self.closed is None else self.closed.body.get("close_reason")


def fold(messages: Iterable[Message]) -> BetslipState:
    """Return the state after a betslip's messages, in the order of their arrival."""
    arrived = list(messages)
    state = BetslipState()
    for message in arrived:
        if ends(message) and (state.closed is None or _is_earlier(message, state.closed.ts)):
            state.closed = message
        if message.type == BETSLIP and (state.betslip is None or message.is_newer_than(state.betslip.ts)):
            state.betslip = message
    is_over = False
    for message in arrived:
        is_over = is_over or message is state.closed
        if message.type == PMM and message.account is not None:
            if _is_late(message, state.closed, arrived_after=is_over):
                state.late_prices += 1
                continue
            before = state.prices.get(message.account)
            if before is None or message.is_newer_than(before.ts):
                state.prices[message.account] = message
    return state


def ends(message: Message) -> bool:
    """Return whether a message ends its betslip."""
    return message.type == CLOSED or (message.type == BETSLIP and message.body.get("is_open") is False)


def _is_earlier(message: Message, ts: Decimal | None) -> bool:
    """Return whether an end came earlier than the one that is known: a closed betslip stays closed."""
    return message.ts is not None and ts is not None and message.ts < ts


def _is_late(message: Message, closed: Message | None, *, arrived_after: bool) -> bool:
    """Return whether a pmm came after the end, by the instants where both have one, else by arrival."""
    if closed is None:
        return False
    if message.ts is None or closed.ts is None or message.ts == closed.ts:
        return arrived_after
    return message.ts > closed.ts


def price_list(message: Message) -> list[Any]:
    """Return a pmm's price list as it was sent."""
    return list(message.body.get("price_list") or [])
