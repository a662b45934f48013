"""Return stakes, bet by bet. Pure: no database access."""

from wallet_hooks.ledger import rules
from wallet_hooks.ledger.journal import fingerprint
from wallet_hooks.sportsbook.messages import BetStep, CancelBet
from wallet_hooks.sportsbook.state import BettingState, UserBet


def cancel(bet: CancelBet, state: BettingState) -> str | None:
    """Return the recorded stake once. Return None when it is done (now or before), else the error code.

    A cancel that arrives before its bet is stored for that user, whose bet is then refused.
    """
    wager = state.wagers.get(bet.key)
    if wager is None:
        _store_early_cancel(UserBet(bet.key, bet.user_uid), state)
        return None
    if wager.user_uid != bet.user_uid:
        return None if UserBet(bet.key, bet.user_uid) in state.early_cancels else "conflict"
    if wager.status == "settled":
        return "bet_already_settled"
    if wager.status == "open":
        stake = wager.as_stake()
        state.post(BetStep(wager.key, "cancel"), fingerprint(wager.cost), rules.returned(stake))
        state.count_return(wager, stake.cost, is_void=True)
        state.count_on_event(wager, times=-1)
        wager.status, wager.closed_at = "cancelled", state.now
        state.change(wager)
    return None


def _store_early_cancel(cancelled: UserBet, state: BettingState) -> None:
    if cancelled not in state.early_cancels:
        state.early_cancels.add(cancelled)
        state.changes.early_cancels.append(cancelled)
