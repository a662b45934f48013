"""The ledger references of a bet name it, whatever its id is."""

from hypothesis import example, given
from hypothesis import strategies as st

from wallet_hooks.sportsbook.messages import BetKey, BetStep

NAMES = st.text("abz-_09", min_size=1, max_size=8)
IDS = st.text(st.sampled_from(":1a é\nstakewagersettlement"), min_size=1, max_size=20)


@given(NAMES, NAMES, IDS, st.integers(0, 3))
@example("g", "c", "9:stake", 1)
@example("g", "c", "settlement:1", 2)
@example("g", "c", ":wager:9", 1)
def test_a_reference_names_its_bet_and_step(game: str, client: str, uid: str, settlements: int) -> None:
    bet = BetKey(game, client, uid)
    steps = [BetStep.of_reference(reference) for reference in bet.references(settlements)]
    numbered = [(kind, number) for number in range(1, settlements + 1) for kind in ("settlement", "reversal")]
    assert steps == [BetStep(bet, kind, number) for kind, number in [("stake", None), ("cancel", None), *numbered]]


def test_a_payment_s_reference_names_no_bet() -> None:
    assert BetStep.of_reference("cashier:acme:deposit:9:stake") is None
    assert BetKey.of_reference("cashier:acme:deposit:wager") is None
