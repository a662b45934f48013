"""Reading what binds a group of customers: their limits, what counts against them, their play sessions."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from wallet_hooks.customers.play_sessions import PLAY_SESSIONS, PlaySession
from wallet_hooks.customers.queries import CustomerFacts
from wallet_hooks.database.bulk import BulkStatement, PendingRows, Pipeline, RowSet, columns_of
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.limits.enforcement import LONGEST, Bounds, bounds_of, defaults_bind_bets
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import ACTIVE, PENDING, Limit
from wallet_hooks.limits.usage import USAGE_SINCE, Usage, UsageRow


class LimitedCustomer(NamedTuple):
    """What is known already of a customer who is bound by limits."""

    brand: BrandFacts
    currency: str


class LiveLimit(NamedTuple):
    """A limit that is in force or pending, as `models.PlayerLimit` keeps it."""

    customer_id: int
    type: str
    frame: str
    amount: int | None
    status: str
    changed_by: str
    created_at: datetime
    effective_at: datetime
    anchored_at: datetime
    needs_confirmation: bool
    expires_at: datetime | None
    set_by: str
    id: int

    def as_limit(self) -> Limit:
        """The limit as the rules look at it."""
        facts = self._asdict()
        del facts["customer_id"]
        return Limit(**facts)


_asked = RowSet("asked", PlayerLimit.customer_id)
_LIVE_LIMITS = BulkStatement(
    _asked,
    lambda _: (
        select(*columns_of(PlayerLimit, LiveLimit))
        .select_from(_asked.join(PlayerLimit, _asked.matches(PlayerLimit)))
        .where(PlayerLimit.status.in_([ACTIVE, PENDING]))
        .order_by(PlayerLimit.id)
    ),
    row=LiveLimit,
)


def is_limited(customer: CustomerFacts, brand: BrandFacts) -> bool:
    """Whether there may be limits that bind the customer's bets: its own, an operator's, or the brand's defaults."""
    return customer.limited or defaults_bind_bets(brand, customer.currency)


class LimitReads:
    """What a pipeline reads for limited customers, by customer id; there once it has run."""

    def __init__(self, reads: Pipeline, customers: Mapping[int, LimitedCustomer], *, now: datetime) -> None:
        self._customers, self._now = customers, now
        ids = [(id_,) for id_ in sorted(customers)]
        since = [(id_, customers[id_].brand.booking_day(now) - LONGEST) for (id_,) in ids]
        self._limits: PendingRows[LiveLimit] = reads.add(_LIVE_LIMITS(ids))
        self._usage: PendingRows[UsageRow] = reads.add(USAGE_SINCE(since))
        self._play: PendingRows[PlaySession] = reads.add(PLAY_SESSIONS(ids))

    def usage(self) -> Usage:
        """What counts against the limits, as far back as any window reaches."""
        usage = Usage()
        usage.load(self._usage.rows, self._customers)
        return usage

    def bounds(self) -> dict[int, Bounds]:
        """What binds each of the customers now."""
        limits: dict[int, list[Limit]] = {}
        for row in self._limits.rows:
            limits.setdefault(row.customer_id, []).append(row.as_limit())
        return {
            play.id: bounds_of(play.id, limits.get(play.id, []), *self._customers[play.id], play=play, now=self._now)
            for play in self._play.rows
        }
