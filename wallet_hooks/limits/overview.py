"""A customer with its money, state and limits, as the commands and the console show it."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.login_lock import lock_reason
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.overview import customer_row
from wallet_hooks.customers.queries import balances_of_customers
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.limits.rules import SESSION
from wallet_hooks.limits.service import CurrentLimits, player_of


def overview_of(session: Session, found: Customer, brand: Brand, *, now: datetime) -> dict[str, Any]:
    """Return a customer's money, state and limits at an instant (UTC): amounts as decimal strings."""
    reason = lock_reason(found, now=now)
    return customer_row(found, brand, balances_of_customers(session, [found])[found.id]) | {
        "active": found.active,
        "locked": reason is not None,
        "lock_reason": reason,
        "expires_at": found.expires_at.isoformat() if found.expires_at else None,
        "roles": found.roles,
        "limits": _limits(session, found, brand, now),
    }


def _limits(session: Session, found: Customer, brand: Brand, now: datetime) -> dict[str, str]:
    """Return the limits in force by type and frame; where player and operator both set one, the stricter."""
    current = CurrentLimits(session, player_of(found, brand_facts(brand)), now=now)
    limits = {}
    for one in sorted(current.in_force(), key=lambda one: -(one.amount or 0)):
        name = "time_limit" if one.frame == SESSION else f"{one.type}_{one.frame}"
        limits[name] = format_limit(one.type, one.amount or 0, found.currency)
    if found.max_stake_per_event is not None:
        limits["stake_per_event"] = money.format_amount(found.max_stake_per_event, found.currency)
    return limits


def format_limit(type_: str, amount: int, currency: str) -> str:
    """Return the amount of a limit: a decimal string in its currency, or minutes for a time limit."""
    return f"{amount} minutes" if type_ == "time_limit" else money.format_amount(amount, currency)
