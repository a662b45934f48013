"""A shuffle interleaves customers, and keeps the order of calls that share a customer."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.world import Item, bet
from wallet_hooks.replay.fixture import Case, CaseSequence
from wallet_hooks.replay.groups import independent_groups, interleave_groups, split

CALLS = st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=25)


def cases_of(calls: list[list[int]]) -> list[Case]:
    """Return one case per call; each call has a bet of each of its customers, or no bets."""
    return [
        Case(Path("x.jsonl"), line, {"request": {"path": "/bets", "body": {"bets": _bets(line, users)}}, "expect": {}})
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


@given(CALLS, st.integers(1, 9))
def test_parts_of_a_capture_share_no_customer_and_begin_with_it(calls: list[list[int]], size: int) -> None:
    brand = {"client": "acme", "currency": "GBP"}
    cases = cases_of(calls)
    for case in cases[:1]:
        case.document["given"] = {"brands": [brand]}
        case.document["at"] = "2026-11-20T12:00:00Z"
    parts = split(CaseSequence(Path("x.jsonl"), cases), size)
    lines = [[case.line for case in part.cases] for part in parts]
    assert sorted(line for part in lines for line in part) == list(range(len(calls)))
    assert all(part == sorted(part) for part in lines)
    assert all(len(part) >= size for part in lines[:-1])
    users = [{user for line in part for user in calls[line]} for part in lines]
    assert all(not (one & other) for n, one in enumerate(users) for other in users[:n])
    for part in parts if cases else ():
        assert brand in part.given_of("brands")
        assert part.first_instant() == cases[0].at
