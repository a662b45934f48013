"""Settle a wager again, decided by staff."""

from collections.abc import Mapping

from sqlalchemy import Connection

from wallet_hooks.database.bulk import run
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.sportsbook.loading import KNOWN_WAGERS, ReadClock, load_state
from wallet_hooks.sportsbook.messages import BetKey, SettleBet, SettleBets, unknown_wager
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.sportsbook.saving import save
from wallet_hooks.sportsbook.settling import is_out_of_range, outcome_of, settle_again
from wallet_hooks.sportsbook.state import WagerState


def resettle(
    connection: Connection,
    key: BetKey,
    *,
    payout: int,
    result: str | None,
    reason: str,
    brands: Mapping[str, BrandFacts],
    read_clock: ReadClock,
    settlement: int | None = None,
) -> int | None:
    """Replace a wager's settlement; `payout` in minor units of its currency. Return the payout that was replaced.

    None if the settlement is like this already; nothing is done then. The reason is stored with the transactions.
    `settlement` is the number of the settlement to replace, by default the newest.

    Raises NotFoundError for an unknown wager, RefusedError where it was not settled (`not_settled`) or was settled
    again since (`outdated`), the payout is too large (`payout_out_of_range`), or the brand's policy refuses
    (`insufficient_funds`, `credit_limit_exceeded`).
    """
    found = run(connection, KNOWN_WAGERS([key]))
    if not found:
        raise unknown_wager(key)
    before = found[0]
    check_settled(before, settlement)
    assert before.currency is not None
    bet = SettleBet(key, before.user_uid, before.currency, payout, result)
    state = load_state(connection, [SettleBets((bet,))], brands, read_clock=read_clock, reason=reason)
    wager = state.wagers[key]
    check_settled(wager, settlement)
    outcome = outcome_of(payout, result, wager.stake)
    if outcome == wager.outcome:
        return None
    payout_before = wager.payout or 0
    if is_out_of_range(wager, payout, outcome, state):
        raise RefusedError(
            "payout_out_of_range", "the payout, or the balance after it, is more than an account can hold"
        )
    if (code := settle_again(wager, payout, result, state)) is not None:
        raise RefusedError(code, "the brand's policy refuses a correction that takes back more than there is")
    save(connection, state)
    return payout_before


def check_settled(wager: Wager | WagerState, settlement: int | None) -> None:
    """Raise RefusedError unless the wager is settled, and its newest settlement has the number, if one is given."""
    if wager.status != "settled":
        raise RefusedError("not_settled", f"The wager is {wager.status}, not settled.")
    if settlement not in (None, wager.settlements):
        raise RefusedError("outdated", "The wager was settled again meanwhile.")
