"""Holding deposits to the limits. They count from when they begin, and no longer when they fail."""

from datetime import datetime

from sqlalchemy.orm import Session

from wallet_hooks.database.bulk import Writes
from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.service import CurrentLimits, Player, usage_of
from wallet_hooks.limits.usage import DayUsage, Usage


def take_deposit(session: Session, player: Player, amount: int, *, now: datetime) -> None:
    """Count a deposit against the limits. Raises RefusedError where one of them says no.

    The caller holds the customer's lock; `amount` in minor units of the customer's currency.
    """
    if player.customer.limited or player.policy.applied_defaults(player.customer.currency):
        usage = usage_of(session, player, now=now)
        left = CurrentLimits(session, player, now=now).bounds().left("deposit", usage)
        if left is not None and amount > left:
            raise RefusedError("deposit_limit_exceeded", "more than the customer may deposit")
    count_deposit(session, player, amount, at=now)


def count_deposit(session: Session, player: Player, amount: int, *, at: datetime) -> None:
    """Count a deposit on the day on which it began; a negative amount releases one that failed."""
    usage = Usage()
    usage.add(player.customer.id, player.brand.booking_day(at), DayUsage(deposited=amount))
    writes = Writes()
    usage.add_to(writes)
    writes.run(session.connection())
