"""The state that a group of callbacks is decided on, and the changes that the decisions make.

`load_state` reads it, the decisions update it request by request, `save` writes the changes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING
from typing import TYPE_CHECKING, NamedTuple

from wallet_hooks import money
from wallet_hooks.betslips.bounds import BetslipFacts
from wallet_hooks.customers.commission import rate_on
from wallet_hooks.customers.queries import MAX_BALANCE, CustomerFacts
from wallet_hooks.database.bulk import plain_class
from wallet_hooks.exceptions.service import BetExceptionRow
from wallet_hooks.identity.countries import CountryRules
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.journal import Journal, Line, PostedTransaction, Posting
from wallet_hooks.ledger.rules import Stake
from wallet_hooks.limits.enforcement import EnforcedLimits
from wallet_hooks.limits.usage import DayUsage, Usage
from wallet_hooks.sportsbook.coupons import EventKey, StakesOnEvents
from wallet_hooks.sportsbook.messages import BetKey, BetStep, SettleBet, says_void
from wallet_hooks.sportsbook.models import Wager

if TYPE_CHECKING:
    _WagerColumns = Wager
else:  # the same attributes, without the cost of an ORM's object
    _WagerColumns = plain_class(Wager)


@dataclass(slots=True)
class WagerState(_WagerColumns):
    """A wager as it was read or is being made."""

    key: BetKey = field(init=False)
    _stake: Stake | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.key = BetKey(self.game, self.client, self.uid)

    @property
    def settlement_reference(self) -> str:
        """The ledger reference of the current settlement."""
        return BetStep(self.key, "settlement", self.settlements).reference

    def as_stake(self) -> Stake:
        """Return the stake as it was taken; it never changes. A refused wager has none."""
        if self._stake is None:
            assert self.customer_id is not None
            assert self.currency is not None
            assert self.stake is not None
            assert self.home_currency is not None
            assert self.cost is not None
            whose = (self.customer_id, self.client, self.game)
            self._stake = Stake(*whose, self.currency, self.stake, self.home_currency, self.cost)
        return self._stake


class EarlyOutcome(NamedTuple):
    """A settlement that was refused because its bet had not arrived; see `models.EarlySettlement` for the fields."""

    game: str
    client: str
    uid: str
    user_uid: str
    currency: str
    payout: int
    is_void: bool
    refused_at: datetime
    number: int

    @property
    def key(self) -> BetKey:
        return BetKey(self.game, self.client, self.uid)


class UserBet(NamedTuple):
    """A bet's id and its user's id, as a cancel names them."""

    key: BetKey
    user_uid: str


@dataclass(slots=True)
class Changes:
    """The changes of a group besides the ledger's.

    `early_cancels` and `early_settlements` arrived before their bets; `settled_first` are bets that were settled for
    the first time. `play_sessions` are when those of bettors without a login began (UTC), by customer id.
    """

    created: dict[BetKey, WagerState] = field(default_factory=dict)
    changed: dict[BetKey, WagerState] = field(default_factory=dict)
    early_cancels: list[UserBet] = field(default_factory=list)
    early_settlements: list[EarlyOutcome] = field(default_factory=list)
    settled_first: list[BetKey] = field(default_factory=list)
    exceptions: list[BetExceptionRow] = field(default_factory=list)
    play_sessions: dict[int, datetime] = field(default_factory=dict)


@dataclass(slots=True)
class BettingState:
    """Everything that decisions read, complete once it is loaded. Amounts in minor units, `now` in UTC.

    `brands` are by client name, `customers` by brand id and uid; `unavailable` are customers, named alike, that
    another transaction has locked, so that nothing can be decided for them. `limits` are by customer id,
    `country_rules` by brand id, `countries` by the address that a bet came from, `rates` by source and target currency,
    `betslips` by brand id, game and betslip id. `settlements` has the current ones, by reference; `early_settlements`
    are those of bets that may be settled again. `delivery_id` is that of the callback being decided; `reason` is given
    by staff.
    """

    now: datetime
    brands: Mapping[str, BrandFacts]
    journal: Journal
    customers: Mapping[tuple[int, str], CustomerFacts] = field(default_factory=dict)
    unavailable: Collection[tuple[int, str]] = ()
    wagers: dict[BetKey, WagerState] = field(default_factory=dict)
    early_cancels: set[UserBet] = field(default_factory=set)
    rates: Mapping[tuple[str, str], str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    limits: Mapping[int, EnforcedLimits] = field(default_factory=dict)
    country_rules: Mapping[int, CountryRules] = field(default_factory=dict)
    countries: Mapping[str, str | None] = field(default_factory=dict)
    betslips: Mapping[tuple[int, str, str], BetslipFacts] = field(default_factory=dict)
    event_stakes: StakesOnEvents = field(default_factory=StakesOnEvents)
    settlements: Mapping[str, PostedTransaction] = field(default_factory=dict)
    early_settlements: Mapping[BetKey, Sequence[EarlyOutcome]] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    booking_days: dict[str, date] = field(default_factory=dict)
    delivery_id: str | None = None
    reason: str | None = None

    def customer(self, client: str, user_uid: str) -> CustomerFacts | None:
        brand = self.brands.get(client)
        return self.customers.get((brand.id, user_uid)) if brand else None

    def available(self, customer: CustomerFacts) -> int:
        """Return the customer's balance plus credit limit, in minor units of its currency."""
        balance = self.journal.balance(chart.player(customer.id, customer.currency))
        return -balance + min(customer.credit_limit, MAX_BALANCE)

    def cost(self, amount: int, currency: str, customer: CustomerFacts) -> tuple[int, str | None] | None:
        """Return a stake's cost in the customer's currency and the rate used (None for the same currency).

        None where no rate is stored.

        Rounded up, so that a stake above 0 always costs something.
        """
        if currency == customer.currency:
            return amount, None
        rate = self.rates.get((currency, customer.currency))
        if rate is None:
            return None
        return money.convert(amount, currency, customer.currency, rate, rounding=ROUND_CEILING), rate

    def commission_rate(self, customer: CustomerFacts, client: str) -> str | None:
        """Return the customer's commission rate of today, in percent; it is stored with the wager."""
        if not customer.commission_rates:
            return None
        in_force = rate_on(customer.commission_rates, self.booking_day(client))
        return in_force[1] if in_force else None

    def event_of(self, wager: WagerState) -> EventKey:
        """Return the event that a wager's stake counts against."""
        assert wager.customer_id is not None
        assert wager.pool_uid is not None
        return self.event_stakes.event_of(wager.customer_id, wager.game, wager.pool_uid)

    def count_stake(self, wager: WagerState) -> None:
        """Count a new stake against the customer's limits, among them the duration of its play session."""
        stake = wager.as_stake()
        self.usage.add(stake.customer_id, self.booking_day(wager.client), DayUsage(staked=stake.cost))
        limits = self.limits.get(stake.customer_id)
        if limits is not None and limits.session_to_store is not None:
            self.changes.play_sessions[stake.customer_id] = limits.session_to_store

    def count_return(self, wager: WagerState, amount: int, *, is_void: bool) -> None:
        """Count a return to the customer, on the stake's day and as paid today; a negative amount reverses it."""
        stake = wager.as_stake()
        staked_on = self.brands[wager.client].booking_day(wager.placed_at)
        self.usage.add(stake.customer_id, staked_on, DayUsage(voided=amount) if is_void else DayUsage(returned=amount))
        self.usage.add(stake.customer_id, self.booking_day(wager.client), DayUsage(paid=amount))

    def count_on_event(self, wager: WagerState, *, times: int = 1) -> None:
        """Count the stake on its event; with -1 remove it, because it was returned."""
        self.event_stakes.add(self.event_of(wager), times * wager.as_stake().cost)

    def booking_day(self, client: str) -> date:
        """Today in the brand's time zone."""
        if client not in self.booking_days:
            self.booking_days[client] = self.brands[client].booking_day(self.now)
        return self.booking_days[client]

    def create(self, wager: WagerState) -> None:
        assert wager.key not in self.wagers, "a wager is created once"
        self.wagers[wager.key] = self.changes.created[wager.key] = wager

    def change(self, wager: WagerState) -> None:
        self.changes.changed[wager.key] = wager

    def post(self, step: BetStep, facts: str, lines: tuple[Line, ...], reverses: int | None = None) -> None:
        """Add the posting of a bet's step to the journal; `facts` is a fingerprint of what it was decided on."""
        day = self.booking_day(step.bet.client)
        self.journal.post(Posting(step.kind, step.reference, facts, self.now, day, lines, self.reason, reverses))

    def posted(self, reference: str) -> PostedTransaction:
        """Return a transaction that this group posted, or the settlement that was current before."""
        return self.journal.posted.get(reference) or self.settlements[reference]

    def refuse_early(self, bet: SettleBet) -> None:
        """Keep a settlement that is refused because its bet has not arrived."""
        if bet.payout is not None and bet.key.client in self.brands:
            early, is_void = self.changes.early_settlements, says_void(bet.result)
            early.append(
                EarlyOutcome(*bet.key, bet.user_uid, bet.currency, bet.payout, is_void, self.now, number=len(early))
            )

    def early_outcomes(self, wager: WagerState) -> list[EarlyOutcome]:
        """Return the settlements of a wager that were refused because it had not arrived, oldest first."""
        of_group = (one for one in self.changes.early_settlements if one.key == wager.key)
        found = [*self.early_settlements.get(wager.key, ()), *of_group]
        of_wager = (one for one in found if (one.user_uid, one.currency) == (wager.user_uid, wager.currency))
        return sorted(of_wager, key=lambda one: (one.refused_at, one.number))

    def raise_exception(self, kind: str, key: BetKey, subject: str = "") -> None:
        """Record an exception for staff; the same kind, bet and subject is stored once."""
        self.changes.exceptions.append(BetExceptionRow(kind, *key, subject, self.delivery_id, self.now))


# The state of a brand, by its client name.
StateOf = Callable[[str], BettingState]
