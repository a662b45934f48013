"""Paying winnings and giving stakes back, bet by bet (seeds/004). Pure: nothing here reads or writes.

A settlement or a refund is never refused for a blocked, limited or expired customer.
"""

import json
from collections.abc import Iterator

from wallet_hooks import money
from wallet_hooks.customers.commission import commission_due
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger.journal import Line, fingerprint
from wallet_hooks.limits.usage import DayUsage
from wallet_hooks.sportsbook.bets import CancelBet, SettleBet
from wallet_hooks.sportsbook.book import MAX_BALANCE, Book, Step, WagerState

VOID_RESULTS = frozenset({"void", "refund", "cancelled", "canceled", "push", "returned"})
LOSS_RESULTS = frozenset({"lost", "loss", "lose"})
_VOID = "void"


def settle(bet: SettleBet, book: Book) -> str | None:
    """Settle one bet; None when it is done (now or before), else the code of what stands against it."""
    wager = book.wagers.get(bet.key)
    if (refusal := _unsettleable(bet, wager, book)) is not None:
        return refusal
    assert wager is not None
    if bet.payout is None:
        return "try_again"  # another process was the first to use the currency, after this request was read
    for contradiction in _contradictions(bet, wager):
        book.raise_exception("contradictory_settlement", bet.key, contradiction)
    outcome = outcome_of(bet.payout, bet.result, wager)
    if _is_out_of_range(wager, bet.payout, outcome, book):
        book.raise_exception("payout_out_of_range", bet.key, outcome)
        return "invalid_request"
    if wager.status == "open":
        _settle_anew(wager, bet.payout, bet.result, outcome, book)
        return None
    if outcome == wager.outcome:
        return None
    if outcome in replaced_outcomes(wager):
        book.raise_exception("superseded_settlement", bet.key, outcome)
        return "superseded_settlement"
    return settle_again(wager, bet.payout, bet.result, book)


def _unsettleable(bet: SettleBet, wager: WagerState | None, book: Book) -> str | None:
    """Why there is no stake that this settlement could settle, or None."""
    if wager is None:
        if (bet.key, bet.user_uid) in book.early_cancels:
            book.raise_exception("settlement_of_cancelled_bet", bet.key)
            return "conflict"
        book.raise_exception("unknown_bet", bet.key)
        return "unknown_bet"
    if wager.status in ("refused", "cancelled"):
        book.raise_exception(f"settlement_of_{wager.status}_bet", bet.key)
        return "conflict"
    return "conflict" if wager.user_uid != bet.user_uid or wager.currency != bet.currency else None


def _contradictions(bet: SettleBet, wager: WagerState) -> Iterator[str]:
    """What a settlement says that its own payout or the wager contradicts: paid all the same, for a person to see."""
    result = (bet.result or "").lower()
    if (result in VOID_RESULTS and bet.payout != wager.stake) or (result in LOSS_RESULTS and bet.payout):
        yield f"result:{result}:{bet.payout}"
    if bet.stake is not None and bet.stake != wager.stake:
        yield f"stake:{bet.stake}"
    if bet.pool_uid is not None and bet.pool_uid != wager.pool_uid:
        yield f"coupon:{bet.pool_uid}"


def settle_again(wager: WagerState, payout: int, result: str | None, book: Book) -> str | None:
    """Replace a settlement: the standing one is reversed and the new one posted, in one database transaction."""
    customer = book.customer(wager.key.client, wager.user_uid)
    assert customer is not None, "whoever took a wager's stake locked its customer"
    assert wager.outcome is not None
    outcome = outcome_of(payout, result, wager)
    takes_back = _home_return(wager) - _net(wager, _new_home_return(wager, payout, outcome), outcome)
    leaves_debt = takes_back > max(0, book.available(customer))
    if leaves_debt and book.brands[wager.key.client].corrections == "refuse":
        return "credit_limit_exceeded" if customer.credit_limit else "insufficient_funds"
    standing_id, lines = book.posting(f"{wager.key.reference}:settlement:{wager.settlements}")
    step = Step("reversal", f"reversal:{wager.settlements}", fingerprint(standing_id))
    book.post(wager, step, rules.reversed_(lines), standing_id)
    _count_return(wager, book, times=-1)
    if wager.outcome == _VOID:
        _count_on_event(wager, book)
    wager.replaced = json.dumps([*replaced_outcomes(wager), wager.outcome])
    _settle_anew(wager, payout, result, outcome, book)
    if leaves_debt:
        book.raise_exception("debt_after_correction", wager.key, f"settlement:{wager.settlements}")
    return None


def cancel(bet: CancelBet, book: Book) -> str | None:
    """Give a stake back once, the very amount that was recorded. Before the bet came, remember not to take it."""
    wager = book.wagers.get(bet.key)
    if wager is None:
        if (bet.key, bet.user_uid) not in book.early_cancels:
            book.early_cancels.add((bet.key, bet.user_uid))
            book.new_early_cancels.append((bet.key, bet.user_uid))
        return None
    if wager.user_uid != bet.user_uid:
        return "conflict"
    if wager.status == "settled":
        return "bet_already_settled"
    if wager.status == "open":
        book.post(wager, Step("cancel", "cancel", fingerprint(wager.cost)), rules.returned(wager.as_stake()))
        _count(wager, book, wager.as_stake().cost, is_void=True)
        wager.status, wager.closed_at = "cancelled", book.now
        _count_on_event(wager, book, times=-1)
        book.change(wager)
    return None


def outcome_of(payout: int, result: str | None, wager: WagerState) -> str:
    """What a settlement comes down to: two that come down to the same are the same."""
    is_void = (result or "").lower() in VOID_RESULTS and payout == wager.stake
    return _VOID if is_void else str(payout)


def replaced_outcomes(wager: WagerState) -> list[str]:
    """The outcomes that stood before the present one, oldest first."""
    outcomes: list[str] = json.loads(wager.replaced) if wager.replaced else []
    return outcomes


def _settle_anew(wager: WagerState, payout: int, result: str | None, outcome: str, book: Book) -> None:
    home_payout = _new_home_return(wager, payout, outcome)
    wager.settlements += 1
    step = Step("settlement", f"settlement:{wager.settlements}", fingerprint(outcome, home_payout))
    book.post(wager, step, _lines(wager, payout, home_payout, outcome))
    if wager.status == "open":
        book.first_settled.append(wager.key)
    if outcome == _VOID:
        _count_on_event(wager, book, times=-1)
    wager.status, wager.outcome, wager.result = "settled", outcome, result
    wager.payout, wager.home_payout, wager.closed_at = payout, home_payout, book.now
    book.change(wager)
    _count_return(wager, book)
    if wager.possible_payout is not None and payout > wager.possible_payout:
        book.raise_exception("payout_above_overdraw", wager.key, f"settlement:{wager.settlements}")


def _lines(wager: WagerState, payout: int, home_payout: int, outcome: str) -> tuple[Line, ...]:
    stake = wager.as_stake()
    if outcome == _VOID:
        return rules.returned(stake)
    return rules.settled(stake, payout, home_payout) + rules.commissioned(stake, _commission(wager, home_payout))


def _commission(wager: WagerState, home_payout: int) -> int:
    return commission_due(home_payout - wager.as_stake().cost, wager.commission_rate)


def _net(wager: WagerState, home_return: int, outcome: str) -> int:
    """What is left to the customer of a settlement's return."""
    return home_return if outcome == _VOID else home_return - _commission(wager, home_return)


def _new_home_return(wager: WagerState, payout: int, outcome: str) -> int:
    """What a settlement gives the customer in its own currency, at the rate that the stake was taken at."""
    stake = wager.as_stake()
    if outcome == _VOID:
        return stake.cost
    if wager.rate is None:
        return payout
    return money.convert(payout, stake.currency, stake.home_currency, wager.rate)


def _home_return(wager: WagerState) -> int:
    """What the settlement that stands left to the customer."""
    assert wager.home_payout is not None, "a settled wager knows what it paid"
    assert wager.outcome is not None, "a settled wager has an outcome"
    return wager.as_stake().cost if wager.outcome == _VOID else _net(wager, wager.home_payout, wager.outcome)


def _count_return(wager: WagerState, book: Book, *, times: int = 1) -> None:
    """Count what the standing settlement gave back, or with -1 take it off again."""
    _count(wager, book, times * _home_return(wager), is_void=wager.outcome == _VOID)


def _count(wager: WagerState, book: Book, amount: int, *, is_void: bool) -> None:
    book.count(wager, DayUsage(voided=amount) if is_void else DayUsage(returned=amount))
    book.count(wager, DayUsage(paid=amount), day=book.booking_day(wager.key.client))


def _is_out_of_range(wager: WagerState, payout: int, outcome: str, book: Book) -> bool:
    """Whether the payout, in the customer's currency, or the balance after it is more than an account can hold."""
    stake = wager.as_stake()
    home = _new_home_return(wager, payout, outcome)
    balance = -book.journal.balance(chart.player(stake.customer_id, stake.home_currency))
    return max(home, balance + home) > MAX_BALANCE


def _count_on_event(wager: WagerState, book: Book, *, times: int = 1) -> None:
    """Count the stake on its event, or with -1 take it off: it was returned."""
    stake = wager.as_stake()
    event = book.event(stake.customer_id, wager.key.game, wager.pool_uid)
    if event in book.event_stakes:
        book.event_stakes[event] += times * stake.cost
