"""The state that betslip messages leave, as pure functions."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM, Message
from wallet_hooks.betslips.state import BetslipState, state_after

ID = "b1"
_INSTANTS = st.lists(st.integers(0, 50), unique=True, max_size=8)


def messages_at(ts: int | None) -> st.SearchStrategy[Message]:
    """Return messages of all types at an instant; the body tells them apart."""
    at, body = None if ts is None else Decimal(ts), f'{{"n":{ts}}}'
    return st.sampled_from(
        [
            Message(BETSLIP, ID, at, body),
            Message(BETSLIP, ID, at, body, closes=True),
            Message(CLOSED, ID, at, body, closes=True),
            Message(PMM, ID, at, body, ("bf", "a"), {"EUR": (1, ts or 0)}),
            Message(PMM, ID, at, body, ("bf", "b"), {}),
        ]
    )


@given(instants=_INSTANTS, data=st.data())
def test_the_order_and_repetition_of_messages_do_not_matter(instants: list[int], data: st.DataObject) -> None:
    messages = [data.draw(messages_at(ts)) for ts in instants]
    repeated = data.draw(st.lists(st.sampled_from(messages), max_size=4)) if messages else []
    shuffled = data.draw(st.permutations(messages + repeated))
    expected, found = state_after(messages[place] for place in _order(instants)), state_after(shuffled)
    assert (found.announcement, found.closing, found.prices) == (
        expected.announcement,
        expected.closing,
        expected.prices,
    )
    assert found.bounds == expected.bounds


@given(st.lists(st.none() | st.integers(0, 9), max_size=12).flatmap(lambda each: st.tuples(*map(messages_at, each))))
def test_a_state_that_is_kept_is_the_state_of_all_messages(messages: tuple[Message, ...]) -> None:
    state = BetslipState()
    for count, message in enumerate(messages, 1):
        if not state.add(message):
            state = state_after(messages[:count])
        expected = state_after(messages[:count])
        assert (state.announcement, state.closing, state.prices) == (
            expected.announcement,
            expected.closing,
            expected.prices,
        )


def _order(instants: list[int]) -> list[int]:
    return sorted(range(len(instants)), key=instants.__getitem__)
