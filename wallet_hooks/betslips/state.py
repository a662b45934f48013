"""The state that a betslip's messages leave. Pure: no database access.

Messages may arrive out of order, late or twice. What a message says is in force from its instant on, so the state is
the same in whatever order messages with different instants arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from wallet_hooks.betslips.bounds import Bounds, merged_bounds
from wallet_hooks.betslips.messages import BETSLIP, PMM, Account, Message


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
    def bounds(self) -> Bounds | None:
        """The bounds of the newest pmm messages; None without any."""
        return merged_bounds(message.bounds or {} for message in self.prices.values()) if self.prices else None

    def add(self, message: Message) -> bool:
        """Add the newest arrival. Return False if the state before does not determine the new one.

        That is so for an end before prices that are known: then all messages must be folded again.
        """
        if message.type == PMM:
            self._add_price(message, is_late=_is_late(message, self.closed, arrived_after=True))
            return True
        self._add_announcement(message)
        if not message.ends or not _is_earlier(message, self.closed):
            return True
        is_first, self.closed = self.closed is None, message
        return is_first and (message.ts is None or all(map(message.is_after, self.prices.values())))

    def _add_announcement(self, message: Message) -> None:
        if message.type == BETSLIP and (self.betslip is None or message.is_newer_than(self.betslip.ts)):
            self.betslip = message

    def _add_price(self, message: Message, *, is_late: bool) -> None:
        assert message.account is not None, "a pmm names its account"
        if is_late:
            self.late_prices += 1
            return
        before = self.prices.get(message.account)
        if before is None or message.is_newer_than(before.ts):
            self.prices[message.account] = message


def fold(messages: Iterable[Message]) -> BetslipState:
    """Return the state after all messages of a betslip, in the order of their arrival."""
    arrived = list(messages)
    state = BetslipState()
    for message in arrived:
        if message.ends and _is_earlier(message, state.closed):
            state.closed = message
    is_over = False
    for message in arrived:
        is_over = is_over or message is state.closed
        if message.type == PMM:
            state._add_price(message, is_late=_is_late(message, state.closed, arrived_after=is_over))
        else:
            state._add_announcement(message)
    return state


def _is_earlier(message: Message, closed: Message | None) -> bool:
    """Return whether an end is the betslip's: the first one, or one of an earlier instant than that."""
    return closed is None or (message.ts is not None and closed.ts is not None and message.ts < closed.ts)


def _is_late(message: Message, closed: Message | None, *, arrived_after: bool) -> bool:
    """Return whether a pmm came after the end, by the instants where both have one, else by arrival."""
    if closed is None:
        return False
    if message.ts is None or closed.ts is None or message.ts == closed.ts:
        return arrived_after
    return message.ts > closed.ts
