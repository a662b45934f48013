"""Properties of the pure decisions: no overdraft, all or nothing, idempotency, order of checks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.customers.queries import CustomerFacts
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.journal import HeldAccount, Journal
from wallet_hooks.sportsbook.cancelling import cancel
from wallet_hooks.sportsbook.messages import Accepted, BetKey, CancelBet, Declined, PlaceBet, PlaceBets, SettleBet
from wallet_hooks.sportsbook.placing import place
from wallet_hooks.sportsbook.settling import settle
from wallet_hooks.sportsbook.state import BettingState

NOW = datetime(2026, 3, 29, 0, 59, tzinfo=UTC)
BRAND = BrandFacts(1, "acme", "EUR", ZoneInfo("Europe/London"), timedelta(0), "debt")
WALLET = chart.player(1, "EUR")
OPEN = chart.open_stakes(1, "EUR")

amounts = st.integers(0, 200)
customers = st.builds(
    CustomerFacts,
    id=st.just(1),
    brand_id=st.just(1),
    uid=st.just("7"),
    currency=st.just("EUR"),
    credit_limit=st.integers(0, 300),
    max_stake_per_event=st.none() | st.integers(0, 300),
    active=st.just(True),
    locked=st.just(False),
    expires_at=st.none(),
    roles=st.just(frozenset({"bet_placer"})),
)
bets = st.builds(
    lambda uid, amount, pool: PlaceBet(
        BetKey("betflex", "acme", str(uid)), "7", None, str(pool), "EUR", amount, str(amount), None
    ),
    st.integers(1, 12),
    amounts,
    st.integers(1, 2),
)
requests = st.lists(bets, min_size=1, max_size=5).map(lambda chosen: PlaceBets(tuple(chosen)))


def loaded(customer: CustomerFacts, balance: int) -> BettingState:
    ids: Iterator[int] = count(1)
    journal = Journal(NOW, ids, None, {WALLET: HeldAccount(1, -balance, 1, 1), OPEN: HeldAccount(2, 0, 1, 1)})
    return BettingState(NOW, {"acme": BRAND}, journal, customers={(1, "7"): customer})


@given(customers, st.integers(-100, 500), st.lists(requests, max_size=8))
def test_no_overdraft_and_all_or_nothing(customer: CustomerFacts, balance: int, sent: list[PlaceBets]) -> None:
    state = loaded(customer, balance)
    for request in sent:
        before = (state.available(customer), set(state.wagers))
        answer = place(request, lambda _: state)
        taken = {bet.key for bet in request.bets} - before[1]
        if isinstance(answer, Accepted):
            assert all(state.wagers[bet.key].status == "open" for bet in request.bets)
            costs = sum(state.wagers[key].cost or 0 for key in taken)
            assert state.available(customer) == before[0] - costs
            assert not costs or state.available(customer) >= 0
        else:
            assert state.available(customer) == before[0]
            new = [state.wagers[key] for key in set(state.wagers) - before[1]]
            assert len(new) <= 1
            assert all(wager.status == "refused" and wager.refusal == answer.code for wager in new)
        assert sum(wager.cost or 0 for wager in state.wagers.values()) == -state.journal.balance(OPEN)
    if customer.max_stake_per_event is not None:
        for pool in ("1", "2"):
            staked = sum(w.cost or 0 for w in state.wagers.values() if w.pool_uid == pool and w.status == "open")
            assert staked <= customer.max_stake_per_event


@given(customers, st.integers(0, 500), requests)
def test_repeated_request_has_the_same_answer_and_posts_nothing(
    customer: CustomerFacts, balance: int, request: PlaceBets
) -> None:
    state = loaded(customer, balance)
    first = place(request, lambda _: state)
    posted = len(state.journal.transactions)
    again = place(request, lambda _: state)
    if isinstance(first, Accepted) or first.code != "conflict":
        assert again == first
    assert len(state.journal.transactions) == posted


@given(
    st.builds(
        lambda active, locked, expired, may_bet: (active, locked, expired, may_bet),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    st.booleans(),
    st.integers(0, 20),
)
def test_first_violated_rule_is_the_refusal(
    standing: tuple[bool, bool, bool, bool], foreign: bool, event_limit: int
) -> None:
    active, locked, expired, may_bet = standing
    customer = CustomerFacts(
        1, 1, "7", "EUR", 0, event_limit, active, locked, NOW if expired else None,
        frozenset({"bet_placer"} if may_bet else {"customer"}),
    )  # fmt: skip
    bet = PlaceBet(BetKey("betflex", "acme", "1"), "7", None, "1", "USD" if foreign else "EUR", 10, "10", None)
    expected = [
        code
        for violated, code in (
            (not active, "customer_inactive"),
            (locked, "customer_locked"),
            (expired, "customer_expired"),
            (not may_bet, "betting_not_permitted"),
            (foreign, "currency_not_supported"),
            (event_limit < 10, "event_stake_exceeded"),
            (True, "insufficient_funds"),
        )
        if violated
    ]
    assert place(PlaceBets((bet,)), lambda _: loaded(customer, 5)) == Declined(expected[0])


steps = st.one_of(
    st.tuples(st.just("place"), st.just(0)),
    st.tuples(st.just("cancel"), st.just(0)),
    st.tuples(st.just("settle"), st.sampled_from([0, 10, 25])),
)


@given(st.lists(steps, max_size=14))
def test_any_order_of_deliveries_leaves_a_consistent_ledger(taken: list[tuple[str, int]]) -> None:
    customer = CustomerFacts(1, 1, "7", "EUR", 0, None, True, False, None, frozenset({"bet_placer"}))
    state = loaded(customer, 100)
    key = BetKey("betflex", "acme", "1")
    for kind, payout in taken:
        if kind == "place":
            place(PlaceBets((PlaceBet(key, "7", None, "1", "EUR", 10, "10", None),)), lambda _: state)
        elif kind == "cancel":
            cancel(CancelBet(key, "7"), state)
        else:
            settle(SettleBet(key, "7", "EUR", payout, "x"), state)
    wager = state.wagers.get(key)
    moved = 100 + state.journal.balance(WALLET)
    if wager is None or wager.status in ("cancelled", "refused"):
        assert (moved, state.journal.balance(OPEN)) == (0, 0)
    elif wager.status == "open":
        assert (moved, state.journal.balance(OPEN)) == (10, -10)
    else:
        assert (moved, state.journal.balance(OPEN)) == (10 - (wager.payout or 0), 0)
