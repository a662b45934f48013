"""Bulk reads for limit checks: the limits, usage and play sessions of a batch of customers."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from wallet_hooks.customers.play_sessions import PLAY_SESSIONS, PlaySession
from wallet_hooks.customers.queries import CustomerFacts
from wallet_hooks.database.bulk import BulkStatement, PendingRows, Pipeline, RowSet, select_rows
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.limits.enforcement import EnforcedLimits, defaults_bind_bets, enforced_limits, usage_since
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.rules import LIVE, Limit
from wallet_hooks.limits.usage import USAGE_SINCE, Usage, UsageRow


class LimitedCustomer(NamedTuple):
    """The brand and currency of a customer whose limits are to be read."""

    brand: BrandFacts
    currency: str


_requested = RowSet("requested", PlayerLimit.customer_id)
_LIVE_LIMITS = BulkStatement(
    _requested,
    lambda _: select_rows(_requested, PlayerLimit, Limit).where(PlayerLimit.status.in_(LIVE)).order_by(PlayerLimit.id),
    row=Limit,
)


def may_be_limited(customer: CustomerFacts, brand: BrandFacts) -> bool:
    """Return whether limits may apply to the customer's bets: stored limits, or the brand's defaults."""
    return customer.limited or defaults_bind_bets(brand, customer.currency)


class LimitReads:
    """The reads of limited customers in a pipeline, by customer id. Results are available once the pipeline has run."""

    def __init__(self, reads: Pipeline, customers: Mapping[int, LimitedCustomer], *, now: datetime) -> None:
        self._customers, self._now = customers, now
        ids = [(id_,) for id_ in sorted(customers)]
        since = [(id_, usage_since(customers[id_].brand, now)) for (id_,) in ids]
        self._limits: PendingRows[Limit] = reads.add(_LIVE_LIMITS(ids))
        self._usage: PendingRows[UsageRow] = reads.add(USAGE_SINCE(since))
        self._play: PendingRows[PlaySession] = reads.add(PLAY_SESSIONS(ids))

    def usage(self) -> Usage:
        """Return the usage of the longest possible window."""
        usage = Usage()
        usage.load(self._usage.rows, self._customers)
        return usage

    def enforced(self) -> dict[int, EnforcedLimits]:
        """Return the limits in force for each customer."""
        limits: dict[int | None, list[Limit]] = {}
        for limit in self._limits.rows:
            limits.setdefault(limit.customer_id, []).append(limit)
        return {play.id: self._enforced_limits(limits.get(play.id, []), play) for play in self._play.rows}

    def _enforced_limits(self, limits: list[Limit], play: PlaySession) -> EnforcedLimits:
        customer = self._customers[play.id]
        return enforced_limits(play.id, limits, customer.brand, customer.currency, play=play, now=self._now)
