"""Enforcement of deposit limits. A deposit counts from its reservation on, until it fails or expires."""

from datetime import datetime

from sqlalchemy.orm import Session

from wallet_hooks.database.writes import Writes
from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.service import CurrentLimits, Player, usage_of
from wallet_hooks.limits.usage import DayUsage, Usage


def take_deposit(session: Session, player: Player, amount: int, *, now: datetime) -> None:
    """Count a deposit against the limits. Raises RefusedError (`deposit_limit_exceeded`) if it exceeds one.

    `amount` is in minor units of the customer's currency. The caller holds the customer's lock.
    """
    if player.customer.limited or player.policy.applied_defaults(player.customer.currency):
        usage = usage_of(session, player, now=now)
        left = CurrentLimits(session, player, now=now).enforced().left("deposit", usage)
        if left is not None and amount > left:
            raise RefusedError("deposit_limit_exceeded", "amount: above what is left of the customer's deposit limit")
    count_deposit(session, player, amount, at=now)


def count_deposit(session: Session, player: Player, amount: int, *, at: datetime) -> None:
    """Count a deposit on the local day of `at`, when it began. A negative amount releases a failed deposit."""
    usage = Usage()
    usage.add(player.customer.id, player.brand.booking_day(at), DayUsage(deposited=amount))
    writes = Writes()
    usage.add_to(writes)
    writes.run(session.connection())
