"""Take stakes: all the bets of a request or none. Pure: no database access."""

from collections.abc import Callable

from wallet_hooks import money
from wallet_hooks.betslips import bounds as betslips
from wallet_hooks.customers.queries import CustomerFacts
from wallet_hooks.customers.refusals import betting_refusal, funds_refusal
from wallet_hooks.identity.countries import permit
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.ledger import rules
from wallet_hooks.ledger.journal import fingerprint
from wallet_hooks.limits.enforcement import limit_refusal
from wallet_hooks.sportsbook.coupons import EventKey
from wallet_hooks.sportsbook.messages import Accepted, BetKey, BetStep, Declined, PlaceBet, PlaceBets
from wallet_hooks.sportsbook.state import BettingState, StateOf, UserBet, WagerState


class AcceptedBets:
    """The accepted bets of one request: the state changes only when all of the request's bets are accepted."""

    def __init__(self, state: BettingState) -> None:
        self.state = state
        self._taken: dict[BetKey, WagerState] = {}
        self._spent: dict[int, int] = {}
        self._event_stakes: dict[EventKey, int] = {}

    def wager(self, key: BetKey) -> WagerState | None:
        return self._taken.get(key) or self.state.wagers.get(key)

    def available(self, customer: CustomerFacts) -> int:
        return self.state.available(customer) - self.spent(customer)

    def spent(self, customer: CustomerFacts) -> int:
        """What the accepted bets cost the customer, in minor units of its currency."""
        return self._spent.get(customer.id, 0)

    def staked(self, event: EventKey) -> int:
        """Return the customer's stakes on an event, including the accepted bets."""
        return self.state.event_stakes.staked(event) + self._event_stakes.get(event, 0)

    def take(self, bet: PlaceBet, customer: CustomerFacts, cost: int, rate: str | None) -> None:
        wager = _wager(bet, self.state, customer)
        wager.cost, wager.home_currency, wager.rate = cost, customer.currency, rate
        wager.commission_rate = self.state.commission_rate(customer, bet.key.client)
        self._taken[bet.key] = wager
        self._spent[customer.id] = self._spent.get(customer.id, 0) + cost
        if customer.max_stake_per_event is not None:
            event = self.state.event_of(wager)
            self._event_stakes[event] = self._event_stakes.get(event, 0) + cost

    def apply_to_state(self) -> None:
        state = self.state
        for wager in self._taken.values():
            state.create(wager)
            state.count_stake(wager)
            assert wager.fingerprint is not None
            state.post(BetStep(wager.key, "stake"), wager.fingerprint, rules.staked(wager.as_stake()))
        for event, cost in self._event_stakes.items():
            state.event_stakes.add(event, cost)


def place(request: PlaceBets, state_of: StateOf) -> Accepted | Declined:
    """Take every bet of the request or none.

    The first refusal decides and is recorded with its bet. Accepted stakes are taken out of the state of their brand,
    so that the next request of the group sees the new balances.
    """
    accepted_by_state: dict[int, AcceptedBets] = {}
    for bet in request.bets:
        state = state_of(bet.key.client)
        accepted = accepted_by_state.get(id(state))
        if accepted is None:
            accepted = accepted_by_state[id(state)] = AcceptedBets(state)
        known, code = accepted.wager(bet.key), None
        if state.early_cancels and UserBet(bet.key, bet.user_uid) in state.early_cancels:
            code = "bet_cancelled"
        elif known is not None:
            code = _known_before(bet, known)
        elif (code := _accept_or_refuse(bet, accepted)) is not None:
            _refuse(bet, state, code)
        if code in ("conflict", "try_again"):
            return Declined(code)
        if code is not None:
            return Declined(code, ((bet.key.uid, code),) if len(request.bets) > 1 else ())
    for accepted in accepted_by_state.values():
        accepted.apply_to_state()
    return Accepted()


def bet_fingerprint(bet: PlaceBet) -> str:
    """Return the fingerprint of the facts that a repeated bet must match: user, amount, currency and pool."""
    return _fingerprint(bet, _exact(bet.amount_sent) if bet.amount is None else bet.amount)


def _fingerprint(bet: PlaceBet, amount: int | str) -> str:
    return fingerprint(bet.user_uid, amount, bet.currency, bet.pool_uid)


def _exact(amount: str) -> str:
    """Return an amount in an unknown currency in the shortest form, so that 1 and 01.0 are the same."""
    whole, _, decimals = amount.partition(".")
    return f"{whole.lstrip('0')}.{decimals.rstrip('0')}"


def _known_before(bet: PlaceBet, wager: WagerState) -> str | None:
    """Return the error code of a repeated bet; None if it was taken with the same facts and stands."""
    if wager.currency is None:  # the currency was unknown then, so the amount was stored as it was sent
        facts = _fingerprint(bet, _exact(bet.amount_sent))
    elif wager.currency == bet.currency and bet.amount is None:
        return "try_again"  # another process used the currency first, after this request was read
    else:
        facts = bet_fingerprint(bet)
    if wager.fingerprint != facts and not _was_stored_as_sent(bet, wager):
        return "conflict"
    return "bet_cancelled" if wager.status == "cancelled" else wager.refusal


def _was_stored_as_sent(bet: PlaceBet, wager: WagerState) -> bool:
    """Return whether an earlier release stored the bet, with its zeros as they were sent."""
    return wager.currency is None and wager.fingerprint == _fingerprint(bet, bet.amount_sent)


def _accept_or_refuse(bet: PlaceBet, accepted: AcceptedBets) -> str | None:
    """Accept the bet, or return the refusal. The order of the checks is part of the interface."""
    customer = accepted.state.customer(bet.key.client, bet.user_uid)
    if customer is None:
        return "customer_unknown"
    if (refusal := _customer_refusal(bet, customer, accepted.state)) is not None:
        return refusal
    is_offered = money.is_offered(bet.currency) and money.is_offered(customer.currency)
    home = accepted.state.cost(bet.amount, bet.currency, customer) if is_offered and bet.amount is not None else None
    if home is None:
        return "currency_not_supported"
    cost, rate = home
    for check in _CHECKS:
        if (refusal := check(bet, customer, cost, accepted)) is not None:
            return refusal
    accepted.take(bet, customer, cost, rate)
    return None


def _customer_refusal(bet: PlaceBet, customer: CustomerFacts, state: BettingState) -> str | None:
    is_permitted = permit(state.country_rules, customer.brand_id, state.countries.get(bet.ip or ""))
    return betting_refusal(customer, is_country_permitted=is_permitted, now=state.now)


def _betslip_refusal(bet: PlaceBet, customer: CustomerFacts, _cost: int, accepted: AcceptedBets) -> str | None:
    state = accepted.state
    betslip = state.betslips.get((customer.brand_id, bet.key.game, bet.betslip_id or ""))
    if betslip is None:
        is_required = policy_of(state.brands[bet.key.client].policy).betslip_required
        return "betslip_unknown" if is_required else None
    refusal = betslips.price_refusal(betslip, bet.amount or 0, bet.currency, state.rates)
    if refusal == betslips.WITHOUT_RATE:
        state.raise_exception(refusal, bet.key)
        return None
    return refusal


def _limit_refusal(_bet: PlaceBet, customer: CustomerFacts, cost: int, accepted: AcceptedBets) -> str | None:
    """Session time, then the bet limit, then the loss limit."""
    state = accepted.state
    return limit_refusal(state.limits.get(customer.id), state.usage, cost, accepted.spent(customer), now=state.now)


def _event_refusal(bet: PlaceBet, customer: CustomerFacts, cost: int, accepted: AcceptedBets) -> str | None:
    limit = customer.max_stake_per_event
    if limit is None or not bet.amount:
        return None
    event = accepted.state.event_stakes.event_of(customer.id, bet.key.game, bet.pool_uid)
    return "event_stake_exceeded" if accepted.staked(event) + cost > limit else None


def _funds_refusal(bet: PlaceBet, customer: CustomerFacts, cost: int, accepted: AcceptedBets) -> str | None:
    if not bet.amount or cost <= accepted.available(customer):
        return None
    return funds_refusal(customer.credit_limit)


_StakeCheck = Callable[[PlaceBet, CustomerFacts, int, AcceptedBets], str | None]
_CHECKS: tuple[_StakeCheck, ...] = (_betslip_refusal, _limit_refusal, _event_refusal, _funds_refusal)


def _refuse(bet: PlaceBet, state: BettingState, refusal: str) -> None:
    wager = _wager(bet, state, state.customer(bet.key.client, bet.user_uid))
    wager.status, wager.refusal = "refused", refusal
    state.create(wager)


def _wager(bet: PlaceBet, state: BettingState, customer: CustomerFacts | None) -> WagerState:
    return WagerState(
        *bet.key,
        user_uid=bet.user_uid,
        status="open",
        placed_at=state.now,
        customer_id=customer.id if customer else None,
        fingerprint=bet_fingerprint(bet),
        pool_uid=bet.pool_uid,
        currency=None if bet.amount is None else bet.currency,
        stake=bet.amount,
        possible_payout=bet.possible_payout,
        ip=bet.ip,
    )
