"""Limits of players: what is used of each, and which are nearly used up."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.limits.models import LimitUsage, PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, SESSION, Limit
from wallet_hooks.limits.service import CurrentLimits, Player, player_of, usage_of_players
from wallet_hooks.limits.usage import Usage

NEAR = 0.8  # the share of a limit from which on it is shown as nearly used up
SEARCHED_CUSTOMERS = 500


class UsedLimit(NamedTuple):
    """A limit in force on money, with what is used and left of it (decimal strings) and when its window ends."""

    limit: Limit
    used: str
    left: str
    amount: str
    share: float
    resets_at: datetime


class NearLimit(NamedTuple):
    """A limit that is nearly or wholly used up, and its customer."""

    brand: str
    customer: Customer
    used: UsedLimit


def used_limits(current: CurrentLimits, usage: Usage) -> Iterator[UsedLimit]:
    """Yield what is used of each limit in force on money. `usage` has the customer's days of the longest window."""
    currency = current.player.customer.currency
    for limit in current.in_force():
        if limit.amount is None or limit.frame == SESSION:
            continue
        bound, left = current.left_of(limit, usage)
        used = bound.amount - left
        used_text, left_text, amount = (money.format_amount(minor, currency) for minor in (used, left, bound.amount))
        share = used / bound.amount if bound.amount else 1.0
        yield UsedLimit(limit, used_text, left_text, amount, share, bound.window.end)


def limits_near_their_end(session: Session, *, now: datetime) -> Sequence[NearLimit]:
    """Return limits of which four fifths or more are used, of customers with activity today, fullest first.

    Only the first customers with a limit and activity today are searched.
    """
    brands = {brand.id: brand_facts(brand) for brand in session.scalars(select(Brand))}
    players = list(_active_players(session, brands, now=now))
    usage = usage_of_players(session, players, now=now)
    near = [
        NearLimit(player.brand.client, player.customer, used)
        for player in players
        for used in used_limits(CurrentLimits(session, player, now=now), usage)
        if used.share >= NEAR
    ]
    return sorted(near, key=lambda one: (-one.used.share, one.customer.id))


def _active_players(session: Session, brands: dict[int, BrandFacts], *, now: datetime) -> Iterator[Player]:
    """Yield customers with an active limit and usage today."""
    left = SEARCHED_CUSTOMERS
    for brand in brands.values():
        has_limit = select(PlayerLimit.id).where(PlayerLimit.customer_id == Customer.id, PlayerLimit.status == ACTIVE)
        query = (
            select(Customer)
            .join(LimitUsage, LimitUsage.customer_id == Customer.id)
            .where(Customer.brand_id == brand.id, Customer.limited, LimitUsage.day == brand.booking_day(now))
            .where(has_limit.exists())
            .order_by(Customer.id)
            .limit(left)
        )
        found = session.scalars(query).all()
        left -= len(found)
        yield from (player_of(customer, brand) for customer in found)
