"""Read everything that a group of callbacks is decided on, in a number of statements independent of its size.

Customers are locked first, in id order; everything else is read after the locks, so that it is current.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from wallet_hooks.betslips.bounds import BETSLIPS, BetslipFacts
from wallet_hooks.customers.queries import (
    ACCOUNTS_OF_CUSTOMERS,
    KNOWN_CUSTOMERS,
    LOCK_CUSTOMERS,
    LOCK_FREE_CUSTOMERS,
    CustomerFacts,
)
from wallet_hooks.database.bulk import RowSet, find_rows, look_up_rows, pipeline, run
from wallet_hooks.identity.countries import COUNTRY_RULES, CountryRules, country_rules
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.currencies import store_currencies
from wallet_hooks.ledger.journal import Journal
from wallet_hooks.ledger.queries import POSTED_LINES, held_accounts, posted_transactions
from wallet_hooks.ledger.rates import RATES, pairs_to_read, rates_of
from wallet_hooks.limits.loading import LimitedCustomer, LimitReads, may_be_limited
from wallet_hooks.sportsbook.coupons import STAKES_ON_EVENTS, StakesOnEvents
from wallet_hooks.sportsbook.messages import (
    BetKey,
    CancelBet,
    PlaceBet,
    PlaceBets,
    ProviderRequest,
    SettleBet,
    SettleBets,
)
from wallet_hooks.sportsbook.models import EarlyCancel, EarlySettlement, Wager
from wallet_hooks.sportsbook.state import BettingState, EarlyOutcome, UserBet, WagerState

Locate = Callable[[str | None], str | None]
ReadClock = Callable[[], datetime]  # in UTC


def no_country(_ip: str | None) -> None:
    """The country lookup for an installation without a GeoIP file: always unknown."""
    return


class KnownEarlyCancel(NamedTuple):
    """A cancel that came before its bet."""

    game: str
    client: str
    uid: str
    user_uid: str


_keys = RowSet.of("requested", Wager, BetKey)
KNOWN_WAGERS = look_up_rows(_keys, Wager, WagerState)
_cancels = RowSet.of("requested", EarlyCancel, KnownEarlyCancel)
EARLY_CANCELS = find_rows(_cancels, EarlyCancel, KnownEarlyCancel)
_settled_again = RowSet.of("requested", EarlySettlement, BetKey)
EARLY_SETTLEMENTS = find_rows(_settled_again, EarlySettlement, EarlyOutcome)


class _Locked(NamedTuple):
    """The rows read together with the locks: those that do not depend on the customers' ids.

    `unavailable` are the customers that another transaction has locked.
    """

    customers: Mapping[tuple[int, str], CustomerFacts]
    unavailable: Collection[tuple[int, str]]
    wagers: dict[BetKey, WagerState]
    early_cancels: set[UserBet]
    betslips: Mapping[tuple[int, str, str], BetslipFacts]
    country_rules: Mapping[int, CountryRules]
    journal: Journal


def load_state(
    connection: Connection,
    requests: Sequence[ProviderRequest],
    brands: Mapping[str, BrandFacts],
    *,
    read_clock: ReadClock,
    locate: Locate = no_country,
    wait: bool = True,
    reason: str | None = None,
) -> BettingState:
    """Lock the customers of the requests, and read everything that the decisions need.

    `brands` are by client name, `locate` turns an address into its country. The time is read once the customers are
    locked: a request that waited for a lock is booked after the transaction that held it. Without `wait`, customers
    that another transaction has locked are left out and `unavailable`. The caller's transaction holds the locks.
    `reason` is why staff settle a bet again. Currencies that are used for the first time are stored on the way.
    """
    bets = [bet for request in requests for bet in request.bets]
    if not bets:
        now = read_clock()
        return BettingState(now, brands, ledger.begin(recorded_at=now))
    locked = _lock(connection, bets, brands, read_clock, wait=wait)
    now = locked.journal.recorded_at
    store_currencies(connection, _currencies(requests, locked.customers.values()))
    stakes = list(_bettors(requests, brands, locked.customers))
    pairs = _pairs(stakes) | _pairs_of_betslips(stakes, locked.betslips)
    with pipeline(connection) as reads:
        cancels = reads.add(EARLY_CANCELS(_of_unknown_bets(bets, locked.wagers)))
        limited = LimitReads(reads, _limited(stakes, brands), now=now)
        rates = reads.add(RATES(pairs_to_read(pairs)))
        coupons = reads.add(STAKES_ON_EVENTS(list(_coupons(stakes, locked.wagers.values()))))
        lines = reads.add(POSTED_LINES(list(_current_settlements(requests, locked.wagers))))
        early = reads.add(EARLY_SETTLEMENTS(_settled_more_than_once(requests, locked.wagers)))
    return BettingState(
        now=now,
        brands=brands,
        journal=locked.journal,
        customers=locked.customers,
        unavailable=locked.unavailable,
        wagers=locked.wagers,
        early_cancels=locked.early_cancels | _early_cancels(cancels.rows),
        rates=rates_of(pairs, rates.rows),
        usage=limited.usage(),
        limits=limited.enforced(),
        country_rules=locked.country_rules,
        countries={bet.ip or "": locate(bet.ip) for bet, _ in stakes} if locked.country_rules else {},
        betslips=locked.betslips,
        event_stakes=StakesOnEvents(coupons.rows),
        settlements=posted_transactions(lines.rows),
        early_settlements=_by_bet(early.rows),
        reason=reason,
    )


def _lock(
    connection: Connection,
    bets: Sequence[PlaceBet | SettleBet | CancelBet],
    brands: Mapping[str, BrandFacts],
    read_clock: ReadClock,
    *,
    wait: bool,
) -> _Locked:
    named = ((brands[bet.key.client].id, bet.user_uid) for bet in bets if bet.key.client in brands)
    users = list(dict.fromkeys(named))
    with pipeline(connection) as reads:
        customers = reads.add((LOCK_CUSTOMERS if wait else LOCK_FREE_CUSTOMERS)(users))
        held = reads.add(ACCOUNTS_OF_CUSTOMERS(users))
        wagers = reads.add(KNOWN_WAGERS(list(dict.fromkeys(bet.key for bet in bets))))
        cancels = reads.add(EARLY_CANCELS(_of_bets(bet for bet in bets if not isinstance(bet, SettleBet))))
        betslips = reads.add(BETSLIPS(list(_betslip_ids(bets, brands))))
        ids = reads.add(ledger.reserve_ids(count=sum(map(_most_transactions, bets))))
        closed = reads.add(ledger.last_closed())
        countries = reads.add(COUNTRY_RULES(list({(brand_id,) for brand_id, _ in users})))
    journal = ledger.begin(ids.rows, closed.rows, recorded_at=read_clock())
    journal.held = held_accounts(held.rows)
    found = {(row.brand_id, row.uid): row for row in customers.rows}
    missing = [] if wait or len(found) == len(users) else [user for user in users if user not in found]
    return _Locked(
        customers=found,
        unavailable={(row.brand_id, row.uid) for row in run(connection, KNOWN_CUSTOMERS(missing))},
        wagers={wager.key: wager for wager in wagers.rows},
        early_cancels=_early_cancels(cancels.rows),
        betslips={(row.brand_id, row.game, row.betslip_id): row for row in betslips.rows},
        country_rules=country_rules(countries.rows),
        journal=journal,
    )


def _most_transactions(bet: PlaceBet | SettleBet | CancelBet) -> int:
    """Return the most transactions that a bet of a request can post: a settlement may reverse an earlier one."""
    return 2 if isinstance(bet, SettleBet) else 1


_CancelledBet = tuple[str, str, str, str]  # the columns of KnownEarlyCancel


def _of_bets(bets: Iterable[PlaceBet | SettleBet | CancelBet]) -> list[_CancelledBet]:
    return list(dict.fromkeys((*bet.key, bet.user_uid) for bet in bets))


def _of_unknown_bets(
    bets: Iterable[PlaceBet | SettleBet | CancelBet], wagers: Mapping[BetKey, WagerState]
) -> list[_CancelledBet]:
    """Return the settled bets without a wager; a group of good settlements has none, and costs no statement."""
    return _of_bets(bet for bet in bets if isinstance(bet, SettleBet) and bet.key not in wagers)


def _early_cancels(rows: Iterable[KnownEarlyCancel]) -> set[UserBet]:
    return {UserBet(BetKey(row.game, row.client, row.uid), row.user_uid) for row in rows}


_StakeOfCustomer = tuple[PlaceBet, CustomerFacts]


def _currencies(requests: Iterable[ProviderRequest], customers: Iterable[CustomerFacts]) -> set[str]:
    """Return the currencies of the amounts that were read from the requests, and of the customers' balances."""
    found = {customer.currency for customer in customers}
    for request in requests:
        if isinstance(request, PlaceBets):
            found |= {bet.currency for bet in request.bets if bet.amount is not None}
        elif isinstance(request, SettleBets):
            found |= {bet.currency for bet in request.bets if bet.payout is not None}
    return found


def _bettors(
    requests: Sequence[ProviderRequest],
    brands: Mapping[str, BrandFacts],
    customers: Mapping[tuple[int, str], CustomerFacts],
) -> Iterator[_StakeOfCustomer]:
    """Yield the stakes to take, each with its customer; those of unknown customers are left out, and refused."""
    for request in requests:
        if isinstance(request, PlaceBets):
            for bet in request.bets:
                brand = brands.get(bet.key.client)
                customer = customers.get((brand.id, bet.user_uid)) if brand else None
                if customer is not None:
                    yield bet, customer


def _limited(stakes: Iterable[_StakeOfCustomer], brands: Mapping[str, BrandFacts]) -> dict[int, LimitedCustomer]:
    """Return the customers who have limits, by id."""
    return {
        customer.id: LimitedCustomer(brands[bet.key.client], customer.currency)
        for bet, customer in stakes
        if may_be_limited(customer, brands[bet.key.client])
    }


def _pairs(stakes: Iterable[_StakeOfCustomer]) -> set[tuple[str, str]]:
    """Return the currencies that stakes are converted between."""
    return {(bet.currency, customer.currency) for bet, customer in stakes if bet.currency != customer.currency}


def _betslip_ids(
    bets: Iterable[PlaceBet | SettleBet | CancelBet], brands: Mapping[str, BrandFacts]
) -> set[tuple[int, str, str]]:
    """Return the betslips that stakes name; a request without any costs no statement."""
    return {
        (brands[bet.key.client].id, bet.key.game, bet.betslip_id)
        for bet in bets
        if isinstance(bet, PlaceBet) and bet.betslip_id is not None and bet.key.client in brands
    }


def _pairs_of_betslips(
    stakes: Iterable[_StakeOfCustomer], betslips: Mapping[tuple[int, str, str], BetslipFacts]
) -> set[tuple[str, str]]:
    """Return the currencies that bounds of betslips are converted between."""
    return {
        (currency, bet.currency)
        for bet, customer in stakes
        if (betslip := betslips.get((customer.brand_id, bet.key.game, bet.betslip_id or ""))) is not None
        for currency in betslip.bounds or ()
        if currency != bet.currency
    }


def _coupons(stakes: Iterable[_StakeOfCustomer], wagers: Iterable[WagerState]) -> set[tuple[int, str, str]]:
    """Return the coupons of bets whose customers have a limit per event, and of the group's other bets of theirs.

    These may be returned before a bet is placed on another coupon of the same event.
    """
    limited = [(bet, customer.id) for bet, customer in stakes if customer.max_stake_per_event is not None]
    ids = {customer_id for _, customer_id in limited}
    return {(customer_id, bet.key.game, bet.pool_uid) for bet, customer_id in limited} | {
        (wager.customer_id, wager.game, wager.pool_uid)
        for wager in wagers
        if wager.customer_id in ids and wager.pool_uid is not None
    }


def _settled_more_than_once(requests: Sequence[ProviderRequest], wagers: Mapping[BetKey, WagerState]) -> list[BetKey]:
    """Return the bets that are settled again, or several times by the requests; most groups have none."""
    times = Counter(bet.key for request in requests if isinstance(request, SettleBets) for bet in request.bets)
    settled = {key for key, wager in wagers.items() if wager.status == "settled"}
    return [key for key, count in times.items() if count > 1 or key in settled]


def _by_bet(rows: Iterable[EarlyOutcome]) -> dict[BetKey, list[EarlyOutcome]]:
    found: dict[BetKey, list[EarlyOutcome]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return found


def _current_settlements(requests: Iterable[ProviderRequest], wagers: Mapping[BetKey, WagerState]) -> set[tuple[str]]:
    """Return the references of the current settlements of wagers that are settled again."""
    found = (wagers.get(bet.key) for request in requests if isinstance(request, SettleBets) for bet in request.bets)
    return {(wager.settlement_reference,) for wager in found if wager is not None and wager.status == "settled"}
