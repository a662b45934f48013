"""Groups of calls: a defect ends its own group, not the loop."""

import queue
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from wallet_hooks.settings import Settings
from wallet_hooks.web import call_groups
from wallet_hooks.web.api import POSTPONED, AnsweredCall, Api, Endpoint, GroupedApi, Reply
from wallet_hooks.web.call_groups import CallGroups

ENDPOINT = Endpoint("POST", "/", "root", lambda _: None)


def grouped(observe: Callable[[Sequence[AnsweredCall]], None]) -> GroupedApi:
    """Return an API whose endpoint answers `done`."""
    api = Api(
        name="test",
        prefix="/",
        success=lambda result: Reply(200, result),
        failure=lambda problem: Reply(problem.status, problem.code),
        observe=observe,
    )
    return GroupedApi(
        api=api,
        settings=Settings(),
        endpoints={"/": ENDPOINT},
        answer=lambda calls, _wait: ["done"] * len(calls),
        busy="busy",
        refresh=lambda: None,
        largest_group=2,
    )


def run_calls(one: GroupedApi, count: int) -> list[str | None]:
    """Add calls, and run the loop until all are answered. Returns the bodies of the replies; None without a reply."""
    deferred: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    replies: list[Any] = []

    def defer(act: Callable[..., None], *arguments: Any) -> None:
        deferred.put(partial(act, *arguments))

    groups = CallGroups(one, defer)
    for _ in range(count):
        groups.add(ENDPOINT, {"REMOTE_ADDR": "127.0.0.1"}, b"{}", lambda reply: replies.append(reply and reply.body))
    deadline = time.monotonic() + 60
    while len(replies) < count:
        assert time.monotonic() < deadline
        groups.start()
        try:
            deferred.get(timeout=0.01)()
        except queue.Empty:
            continue
    return replies


def test_calls_are_answered_in_groups_of_the_largest_size() -> None:
    sizes: list[int] = []
    assert run_calls(grouped(lambda answered: sizes.append(len(answered))), 5) == ["done"] * 5
    assert sizes == [2, 2, 1]


def test_a_defect_ends_its_own_group_without_replies() -> None:
    sizes: list[int] = []

    def observe(answered: Sequence[AnsweredCall]) -> None:
        sizes.append(len(answered))
        if len(sizes) == 2:
            raise ZeroDivisionError

    assert run_calls(grouped(observe), 5) == ["done", "done", None, None, "done"]


def test_a_defect_of_calls_that_waited_for_locks_leaves_the_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_groups, "LOCK_RETRY_SECONDS", 0.0)
    sizes: list[int] = []

    def observe(answered: Sequence[AnsweredCall]) -> None:
        if answered:  # not those that are left out
            sizes.append(len(answered))
            if len(sizes) == 1:
                raise ZeroDivisionError

    def answer(calls: Sequence[Any], wait: bool) -> list[Any]:
        if wait:
            time.sleep(0.2)  # until all the others wait for it
        return ["done" if wait else None for _ in calls]

    assert Counter(run_calls(replace(grouped(observe), answer=answer), 5)) == {None: sizes[0], "done": 5 - sizes[0]}


def test_a_call_whose_lock_is_held_is_tried_again_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_groups, "LOCK_RETRY_SECONDS", 1.0)
    monkeypatch.setattr(call_groups, "_PAUSE", 0.01)
    waited: list[bool] = []

    def answer(calls: Sequence[Any], wait: bool) -> list[Any]:
        waited.append(wait)
        return ["done" if wait else None for _ in calls]

    assert run_calls(replace(grouped(lambda _: None), answer=answer), 1) == ["done"]
    assert waited == [False] * (len(waited) - 1) + [True]
    assert 1 < waited.count(False) <= 101, "there are pauses between the tries"


def test_a_call_whose_lock_ends_is_answered_without_waiting_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_groups, "LOCK_RETRY_SECONDS", 60.0)
    tried: Counter[int] = Counter()

    def answer(calls: Sequence[Any], wait: bool) -> list[Any]:
        tried.update(map(id, calls))
        assert not wait
        return ["done" if tried[id(call)] == 2 else None for call in calls]

    assert run_calls(replace(grouped(lambda _: None), answer=answer), 5) == ["done"] * 5


def test_many_calls_whose_locks_are_held_hold_up_no_other() -> None:
    """Groups have two calls, and the first four calls are of locked customers."""
    order: list[str] = []
    numbers: dict[int, int] = {}

    def answer(calls: Sequence[Any], wait: bool) -> list[Any]:
        found = [numbers.setdefault(id(call), len(numbers)) for call in calls]
        order.extend(f"{number}{'w' if wait else ''}" for number in found)
        return ["done" if wait or number >= 4 else None for number in found]

    assert run_calls(replace(grouped(lambda _: None), answer=answer), 6) == ["done"] * 6
    assert order[:6] == ["0", "1", "2", "3", "4", "5"], "no call is tried twice before another is tried once"


def test_calls_that_a_group_postpones_come_first_in_the_next_one() -> None:
    """A group has two calls, and answers the first one and those of its kind: even ones or odd ones."""
    order: list[list[int]] = []
    numbers: dict[int, int] = {}

    def answer(calls: Sequence[Any], wait: bool) -> list[Any]:
        found = [numbers.setdefault(id(call), len(numbers)) for call in calls]
        order.append(found)
        return ["done" if number % 2 == found[0] % 2 else POSTPONED for number in found]

    assert run_calls(replace(grouped(lambda _: None), answer=answer), 5) == ["done"] * 5
    assert order == [[0, 1], [1, 2], [2, 3], [3, 4], [4]]
