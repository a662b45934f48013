"""What a group of callbacks is decided on: everything that was locked and read for it, moving as decisions are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING
from typing import NamedTuple

from wallet_hooks import money
from wallet_hooks.customers.commission import rate_on
from wallet_hooks.customers.queries import CustomerFacts
from wallet_hooks.identity.countries import CountryRules
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.journal import Journal, Line, Posting
from wallet_hooks.ledger.rules import Stake
from wallet_hooks.limits.enforcement import Bounds
from wallet_hooks.limits.usage import DayUsage, Usage
from wallet_hooks.sportsbook.bets import BetKey

# Balances are BIGINT: neither a credit limit nor a payout lets one leave that range.
MAX_BALANCE = 2**62


@dataclass(slots=True)
class WagerState:
    """A wager as it was read or is being made; after the key, the fields are the table's columns in their order."""

    key: BetKey
    user_uid: str
    customer_id: int | None
    status: str
    refusal: str | None
    fingerprint: str
    pool_uid: str
    currency: str | None
    stake: int | None
    cost: int | None
    home_currency: str | None
    rate: str | None
    commission_rate: str | None
    possible_payout: int | None
    ip: str | None
    placed_at: datetime
    payout: int | None = None
    home_payout: int | None = None
    result: str | None = None
    outcome: str | None = None
    replaced: str | None = None
    settlements: int = 0
    closed_at: datetime | None = None

    def as_stake(self) -> Stake:
        """The stake that was taken. Only a wager that was taken has one."""
        assert self.customer_id is not None
        assert self.currency is not None
        assert self.stake is not None
        assert self.home_currency is not None
        assert self.cost is not None
        return Stake(
            self.customer_id, self.key.client, self.key.game, self.currency, self.stake, self.home_currency, self.cost
        )


class RaisedException(NamedTuple):
    """Something that needs a person; raised once for the same kind, bet and subject."""

    kind: str
    key: BetKey
    subject: str
    delivery_id: str | None


class Step(NamedTuple):
    """A step in a wager's life. `name` ends its reference (stake, cancel, settlement:1); `facts` is a fingerprint."""

    kind: str
    name: str
    facts: str


EventKey = tuple[int, str, str]  # customer id, game, event (a coupon that no map knows is its own event)
UserBet = tuple[BetKey, str]  # a bet's id and the user's, as a cancel names them


@dataclass(slots=True)
class Book:
    """`journal` has the balances, `posted` earlier transactions by reference; amounts in minor units, `now` in UTC.

    `early_cancels` are cancels that came before their bets, `new_early_cancels` those of them that this group brought;
    `first_settled` are the bets that it settled for the first time. `limits` are by customer id, `usage` is what counts
    against them; `country_rules` are by brand id, `countries` by the address that a bet came from, `events` by game and
    coupon.
    """

    now: datetime
    brands: Mapping[str, BrandFacts]
    customers: Mapping[tuple[int, str], CustomerFacts]
    wagers: dict[BetKey, WagerState]
    journal: Journal
    rates: Mapping[tuple[str, str], str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    limits: Mapping[int, Bounds] = field(default_factory=dict)
    country_rules: Mapping[int, CountryRules] = field(default_factory=dict)
    countries: Mapping[str, str | None] = field(default_factory=dict)
    events: Mapping[tuple[str, str], str] = field(default_factory=dict)
    event_stakes: dict[EventKey, int] = field(default_factory=dict)
    posted: Mapping[str, tuple[int, tuple[Line, ...]]] = field(default_factory=dict)
    early_cancels: set[UserBet] = field(default_factory=set)
    new_early_cancels: list[UserBet] = field(default_factory=list)
    first_settled: list[BetKey] = field(default_factory=list)
    created: list[WagerState] = field(default_factory=list)
    changed: dict[BetKey, WagerState] = field(default_factory=dict)
    exceptions: list[RaisedException] = field(default_factory=list)
    booking_days: dict[str, date] = field(default_factory=dict)
    delivery_id: str | None = None
    reason: str | None = None  # a person's, kept with what it posts

    def customer(self, client: str, user_uid: str) -> CustomerFacts | None:
        brand = self.brands.get(client)
        return self.customers.get((brand.id, user_uid)) if brand else None

    def available(self, customer: CustomerFacts) -> int:
        """What the customer may still spend: balance and credit, in minor units of its currency."""
        balance = self.journal.balance(chart.player(customer.id, customer.currency))
        return min(customer.credit_limit, MAX_BALANCE) - balance

    def cost(self, amount: int, currency: str, customer: CustomerFacts) -> tuple[int, str | None] | None:
        """What a stake costs in the customer's currency, with the rate used (None at home); None without a rate.

        Rounded up: a stake that is not 0 is never free.
        """
        if currency == customer.currency:
            return amount, None
        rate = self.rates.get((currency, customer.currency))
        if rate is None:
            return None
        return money.convert(amount, currency, customer.currency, rate, rounding=ROUND_CEILING), rate

    def event(self, customer_id: int, game: str, pool_uid: str) -> EventKey:
        """What a customer's stakes on a coupon count against: the coupon's event, or the coupon itself."""
        return customer_id, game, self.events.get((game, pool_uid), f"coupon:{pool_uid}")

    def commission_rate(self, customer: CustomerFacts, client: str) -> str | None:
        """The customer's rate of today, in percent; the wager keeps it."""
        if not customer.commission_rates:
            return None
        in_force = rate_on(customer.commission_rates, self.booking_day(client))
        return in_force[1] if in_force else None

    def count(self, wager: WagerState, usage: DayUsage, *, day: date | None = None) -> None:
        """Count something against the customer's limits, on the day of the stake or another one."""
        assert wager.customer_id is not None
        on = self.brands[wager.key.client].booking_day(wager.placed_at) if day is None else day
        self.usage.add(wager.customer_id, on, usage)

    def booking_day(self, client: str) -> date:
        """Today, where the brand is."""
        if client not in self.booking_days:
            self.booking_days[client] = self.brands[client].booking_day(self.now)
        return self.booking_days[client]

    def create(self, wager: WagerState) -> None:
        assert wager.key not in self.wagers, "a wager is created once"
        self.wagers[wager.key] = wager
        self.created.append(wager)

    def change(self, wager: WagerState) -> None:
        self.changed[wager.key] = wager

    def post(self, wager: WagerState, step: Step, lines: tuple[Line, ...], reverses: int | None = None) -> None:
        """Post what a step in a wager's life moves."""
        reference = f"{wager.key.reference}:{step.name}"
        day = self.booking_day(wager.key.client)
        posting = Posting(step.kind, reference, step.facts, self.now, day, lines, self.reason, reverses)
        self.journal.post(posting)

    def posting(self, reference: str) -> tuple[int, tuple[Line, ...]]:
        """An earlier transaction's id and lines, posted by this very group or before it."""
        return self.journal.posted.get(reference) or self.posted[reference]

    def raise_exception(self, kind: str, key: BetKey, subject: str = "") -> None:
        self.exceptions.append(RaisedException(kind, key, subject, self.delivery_id))
