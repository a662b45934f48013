"""The state that a betslip's messages leave. Pure: no database access.

Messages may arrive out of order, late or twice. What a message says is in force from its instant on, so the state is
the same in whatever order messages with different instants arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wallet_hooks.betslips.bounds import merged_bounds
from wallet_hooks.betslips.messages import BETSLIP, PMM, BookieLogin, Message
from wallet_hooks.betslips.models import StakeBounds


@dataclass(slots=True)
class BetslipState:
    """A betslip: its newest betslip message, the message that closed it, and the newest pmm of each bookmaker account.

    `late_prices` counts the pmm messages that are newer than the closing, which changed nothing.
    """

    announcement: Message | None = None
    closing: Message | None = None
    prices: dict[BookieLogin, Message] = field(default_factory=dict)
    late_prices: int = 0

    @property
    def is_open(self) -> bool:
        return self.closing is None

    @property
    def bounds(self) -> StakeBounds | None:
        """The bounds of the newest pmm messages; None without any."""
        return merged_bounds(message.bounds or {} for message in self.prices.values()) if self.prices else None

    def add(self, message: Message) -> bool:
        """Add the newest arrival. Return False if the state before does not determine the new one.

        That is so for a closing before prices that are known: then the state must be computed from all messages again.
        """
        if message.type == PMM:
            self._add_price(message, is_late=_is_late(message, self.closing, arrived_after=True))
            return True
        self._add_announcement(message)
        if not message.closes or not _is_earlier(message, self.closing):
            return True
        is_first, self.closing = self.closing is None, message
        return is_first and (message.ts is None or all(map(message.is_after, self.prices.values())))

    def _add_announcement(self, message: Message) -> None:
        if message.type == BETSLIP and (self.announcement is None or message.is_newer_than(self.announcement.ts)):
            self.announcement = message

    def _add_price(self, message: Message, *, is_late: bool) -> None:
        assert message.bookie_login is not None, "a pmm names its bookmaker account"
        if is_late:
            self.late_prices += 1
            return
        before = self.prices.get(message.bookie_login)
        if before is None or message.is_newer_than(before.ts):
            self.prices[message.bookie_login] = message


def state_after(messages: Iterable[Message]) -> BetslipState:
    """Return the state after all messages of a betslip, in the order of their arrival."""
    arrived = list(messages)
    state = BetslipState()
    for message in arrived:
        if message.closes and _is_earlier(message, state.closing):
            state.closing = message
    is_over = False
    for message in arrived:
        is_over = is_over or message is state.closing
        if message.type == PMM:
            state._add_price(message, is_late=_is_late(message, state.closing, arrived_after=is_over))
        else:
            state._add_announcement(message)
    return state


def _is_earlier(message: Message, closing: Message | None) -> bool:
    """Return whether a message that closes is the closing: the first one, or one of an earlier instant than that."""
    return closing is None or (message.ts is not None and closing.ts is not None and message.ts < closing.ts)


def _is_late(message: Message, closing: Message | None, *, arrived_after: bool) -> bool:
    """Return whether a pmm is newer than the closing, by the instants where both have one, else by arrival."""
    if closing is None:
        return False
    if message.ts is None or closing.ts is None or message.ts == closing.ts:
        return arrived_after
    return message.ts > closing.ts
