"""Posting rules and the in-memory journal."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger.journal import HeldAccount, Journal, Line, Posting
from wallet_hooks.ledger.rules import Stake

NOW = datetime(2026, 1, 1, tzinfo=UTC)
amounts = st.integers(0, 10**15)
stakes = st.builds(
    Stake,
    st.just(1),
    st.just("acme"),
    st.just("betflex"),
    st.sampled_from(["EUR", "JPY"]),
    amounts,
    st.just("EUR"),
    amounts,
).map(lambda stake: stake if stake.currency != "EUR" else stake._replace(cost=stake.amount))


def sums(lines: tuple[Line, ...]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for account, amount in lines:
        totals[account.currency] = totals.get(account.currency, 0) + amount
    return totals


@given(stakes, amounts, amounts)
def test_every_posting_rule_balances_in_every_currency(stake: Stake, payout: int, home_payout: int) -> None:
    home_payout = payout if stake.currency == "EUR" else home_payout
    events = [rules.staked(stake), rules.returned(stake), rules.settled(stake, payout, home_payout)]
    events += [rules.deposited(1, "card", "EUR", payout), rules.withdrawn(1, "card", "EUR", payout)]
    events += [rules.adjusted(1, "acme", "EUR", -payout)]
    for lines in events:
        assert not any(sums(lines).values())
        assert not any(sums(lines + rules.reversed_(lines)).values())


@given(stakes)
def test_a_returned_stake_leaves_every_balance_unchanged(stake: Stake) -> None:
    moved: dict[object, int] = {}
    for account, amount in rules.staked(stake) + rules.returned(stake):
        moved[account] = moved.get(account, 0) + amount
    assert not any(moved.values())


def test_the_journal_rejects_an_unbalanced_posting() -> None:
    journal = Journal(NOW, iter([1]), None, held={chart.player(1, "EUR"): HeldAccount(1, 0, 0, 0)})
    lines = (Line(chart.player(1, "EUR"), 5),)
    with pytest.raises(AssertionError, match="sums to zero"):
        journal.post(Posting("x", "x", "x", NOW, date(2026, 1, 1), lines))
    assert journal.transactions == []
