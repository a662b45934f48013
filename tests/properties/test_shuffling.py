"""A shuffle interleaves customers, and keeps the order of calls that share a customer."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.world import Item, bet
from wallet_hooks.replay.fixture import Case
from wallet_hooks.replay.running import independent_groups, interleave_groups

CALLS = st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=25)


def cases_of(calls: list[list[int]]) -> list[Case]:
    """Return one case per call; each call has a bet of each of its customers, or no bets."""
    return [
        Case(Path("x.jsonl"), line, {"request": {"path": "/bets", "body": {"bets": _bets(line, users)}}})
        for line, users in enumerate(calls)
    ]


def _bets(line: int, users: list[int]) -> list[Item]:
    return [bet(f"{line}-{user}", user=user) for user in users]


@given(CALLS, st.integers())
def test_shuffle_keeps_the_order_of_each_customer(calls: list[list[int]], seed: int) -> None:
    cases = cases_of(calls)
    shuffled = interleave_groups(cases, seed)
    assert sorted(case.line for case in shuffled) == [case.line for case in cases]
    for user in range(7):
        of_user = [case.line for case in shuffled if user in calls[case.line]]
        assert of_user == sorted(of_user)


@given(CALLS)
def test_independent_groups_share_no_customer(calls: list[list[int]]) -> None:
    groups = [[case.line for case in group] for group in independent_groups(cases_of(calls))]
    assert sorted(line for group in groups for line in group) == list(range(len(calls)))
    users = [{user for line in group for user in calls[line]} for group in groups]
    assert all(not (one & other) for n, one in enumerate(users) for other in users[:n])
    assert all(group == sorted(group) for group in groups)
