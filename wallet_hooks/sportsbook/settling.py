"""Pay winnings, bet by bet. Pure: no database access.

A settlement is never refused for a blocked, limited or expired customer.
"""

import json
from collections.abc import Iterator

from wallet_hooks import money
from wallet_hooks.customers.commission import commission_due
from wallet_hooks.customers.queries import MAX_BALANCE
from wallet_hooks.customers.refusals import funds_refusal
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger.journal import Line, fingerprint
from wallet_hooks.sportsbook.messages import LOSS_RESULTS, VOID, BetStep, SettleBet, says_void, step_name
from wallet_hooks.sportsbook.state import BettingState, UserBet, WagerState


def settle(bet: SettleBet, state: BettingState) -> str | None:
    """Settle one bet. Return None when it is done (now or before), else the error code."""
    wager = state.wagers.get(bet.key)
    if (code := _error_code(bet, wager, state)) is not None:
        return code
    assert wager is not None
    if bet.payout is None:
        return "try_again"  # another process used the currency first, after this request was read
    for contradiction in _contradictions(bet, wager):
        state.raise_exception("contradictory_settlement", bet.key, contradiction)
    outcome = outcome_of(bet.payout, bet.result, wager.stake)
    if outcome == wager.outcome:
        return None
    if outcome in replaced_outcomes(wager) or _is_overtaken(outcome, wager, state):
        state.raise_exception("superseded_settlement", bet.key, _shown(outcome, bet))
        return "superseded_settlement"
    if is_out_of_range(wager, bet.payout, outcome, state):
        state.raise_exception("payout_out_of_range", bet.key, _shown(outcome, bet))
        return "invalid_request"
    if wager.status == "settled":
        return settle_again(wager, bet.payout, bet.result, state)
    state.changes.settled_first.append(wager.key)
    _settle_anew(wager, bet.payout, bet.result, outcome, state)
    return None


def settle_again(wager: WagerState, payout: int, result: str | None, state: BettingState) -> str | None:
    """Replace a settlement: reverse the current one and post the new one, in one database transaction."""
    customer = state.customer(wager.client, wager.user_uid)
    assert customer is not None, "the customer of a taken wager is loaded"
    assert wager.outcome is not None
    outcome = outcome_of(payout, result, wager.stake)
    takes_back = _current_net_return(wager) - _net(wager, _gross_return(wager, payout, outcome), outcome)
    leaves_debt = takes_back > max(0, state.available(customer))
    if leaves_debt and state.brands[wager.client].corrections == "refuse":
        return funds_refusal(customer.credit_limit)
    _reverse(wager, state)
    _settle_anew(wager, payout, result, outcome, state)
    if leaves_debt:
        state.raise_exception("debt_after_correction", wager.key, step_name("settlement", wager.settlements))
    return None


def outcome_of(payout: int, result: str | None, stake: int | None) -> str:
    """Return the outcome of a settlement as one text; settlements with equal texts are the same."""
    return VOID if says_void(result) and payout == stake else str(payout)


def _shown(outcome: str, bet: SettleBet) -> str:
    """Return an outcome for staff: its amount in major units."""
    return outcome if outcome == VOID else money.format_amount(int(outcome), bet.currency)


def replaced_outcomes(wager: WagerState) -> list[str]:
    """Return the outcomes that were replaced, oldest first."""
    outcomes: list[str] = json.loads(wager.replaced) if wager.replaced else []
    return outcomes


def _is_overtaken(outcome: str, wager: WagerState, state: BettingState) -> bool:
    """Return whether an outcome was refused before the bet arrived, and the current one came after it."""
    if wager.status != "settled":
        return False
    early = [outcome_of(one.payout, VOID if one.is_void else None, wager.stake) for one in state.early_outcomes(wager)]
    if outcome not in early:
        return False
    return wager.outcome not in early or early.index(outcome) < early.index(wager.outcome)


def _error_code(bet: SettleBet, wager: WagerState | None, state: BettingState) -> str | None:
    """Return the error code where there is no stake to settle, else None."""
    if wager is None:
        if UserBet(bet.key, bet.user_uid) in state.early_cancels:
            state.raise_exception("settlement_of_cancelled_bet", bet.key)
            return "conflict"
        state.raise_exception("unknown_bet", bet.key)
        state.refuse_early(bet)
        return "unknown_bet"
    if wager.status in ("refused", "cancelled"):
        state.raise_exception(f"settlement_of_{wager.status}_bet", bet.key)
        return "conflict"
    return "conflict" if wager.user_uid != bet.user_uid or wager.currency != bet.currency else None


def _contradictions(bet: SettleBet, wager: WagerState) -> Iterator[str]:
    """Yield a subject for each field that contradicts the payout or the wager; the payout is paid nevertheless."""
    result = (bet.result or "").lower()
    if (says_void(bet.result) and bet.payout != wager.stake) or (result in LOSS_RESULTS and bet.payout):
        yield f"result:{result}:{money.format_amount(bet.payout or 0, bet.currency)}"
    if bet.stake is not None and bet.stake != wager.stake:
        yield f"stake:{money.format_amount(bet.stake, bet.currency)}"
    if bet.pool_uid is not None and bet.pool_uid != wager.pool_uid:
        yield f"coupon:{bet.pool_uid}"


def _reverse(wager: WagerState, state: BettingState) -> None:
    """Reverse the current settlement."""
    settlement = state.posted(wager.settlement_reference)
    step = BetStep(wager.key, "reversal", wager.settlements)
    state.post(step, fingerprint(settlement.id), rules.reversed_(settlement.lines), settlement.id)
    is_void = wager.outcome == VOID
    state.count_return(wager, -_current_net_return(wager), is_void=is_void)
    if is_void:
        state.count_on_event(wager)
    wager.replaced = json.dumps([*replaced_outcomes(wager), wager.outcome])


def _settle_anew(wager: WagerState, payout: int, result: str | None, outcome: str, state: BettingState) -> None:
    home_payout = _gross_return(wager, payout, outcome)
    wager.settlements += 1
    step = BetStep(wager.key, "settlement", wager.settlements)
    state.post(step, fingerprint(outcome, home_payout), _lines(wager, payout, home_payout, outcome))
    wager.status, wager.outcome, wager.result = "settled", outcome, result
    wager.payout, wager.home_payout, wager.closed_at = payout, home_payout, state.now
    state.change(wager)
    is_void = outcome == VOID
    state.count_return(wager, _current_net_return(wager), is_void=is_void)
    if is_void:
        state.count_on_event(wager, times=-1)
    if wager.possible_payout is not None and payout > wager.possible_payout:
        state.raise_exception("payout_above_overdraw", wager.key, step_name("settlement", wager.settlements))


def _lines(wager: WagerState, payout: int, home_payout: int, outcome: str) -> tuple[Line, ...]:
    stake = wager.as_stake()
    if outcome == VOID:
        return rules.returned(stake)
    return rules.settled(stake, payout, home_payout) + rules.commissioned(stake, _commission(wager, home_payout))


def _commission(wager: WagerState, home_payout: int) -> int:
    return commission_due(home_payout - wager.as_stake().cost, wager.commission_rate)


def _net(wager: WagerState, home_return: int, outcome: str) -> int:
    """Return what a bet returns, less commission."""
    return home_return if outcome == VOID else home_return - _commission(wager, home_return)


def _gross_return(wager: WagerState, payout: int, outcome: str) -> int:
    """Return what a settlement gives back before commission, in the customer's currency, at the stake's rate."""
    stake = wager.as_stake()
    if outcome == VOID:
        return stake.cost
    if wager.rate is None:
        return payout
    return money.convert(payout, stake.currency, stake.home_currency, wager.rate)


def _current_net_return(wager: WagerState) -> int:
    """Return what the current settlement gave back after commission, in the customer's currency."""
    assert wager.home_payout is not None, "a settled wager has a payout"
    assert wager.outcome is not None, "a settled wager has an outcome"
    return wager.as_stake().cost if wager.outcome == VOID else _net(wager, wager.home_payout, wager.outcome)


def is_out_of_range(wager: WagerState, payout: int, outcome: str, state: BettingState) -> bool:
    """Return whether the payout (in the customer's currency), or the balance after it, is more than accounts hold."""
    stake = wager.as_stake()
    home = _gross_return(wager, payout, outcome)
    balance = -state.journal.balance(chart.player(stake.customer_id, stake.home_currency))
    replaced = _current_net_return(wager) if wager.status == "settled" else 0
    return max(home, balance - replaced + home) > MAX_BALANCE
