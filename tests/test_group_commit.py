"""Group commit: one database transaction for several requests, and one answer for each."""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from tests.waiting import wait_until
from wallet_hooks.database import open_engine, reading
from wallet_hooks.errors import TryAgainError
from wallet_hooks.group_commit import GroupCommit
from wallet_hooks.settings import Settings


@pytest.fixture
def engine(tmp_path: Path) -> object:
    engine = open_engine(Settings(database_url=f"sqlite:///{tmp_path / 'group.db'}"), for_callbacks=True)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seen (number INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


class Work:
    """Stores each number and returns its double; blocks the first group until `go_on` is set."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.started = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, connection: Connection, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        if len(self.groups) == 1:
            self.started.set()
            assert self.go_on.wait(10)
        for number in numbers:
            if number < 0:
                raise ValueError(f"bad {number}")
            connection.execute(text("INSERT INTO seen VALUES (:number)"), {"number": number})
        return [number * 2 for number in numbers]


def stored(engine: Engine) -> set[int]:
    with reading(engine) as session:
        return set(session.scalars(text("SELECT number FROM seen")))


def gathered(commits: GroupCommit[int, int], work: Work, numbers: Sequence[int]) -> dict[int, object]:
    """Submit the first number, let all others queue behind it, then release it. Returns answers or errors by number."""
    answers: dict[int, object] = {}

    def submit(number: int) -> None:
        try:
            answers[number] = commits.submit(number)
        except Exception as error:
            answers[number] = error

    with ThreadPoolExecutor(len(numbers)) as pool:
        pool.submit(submit, numbers[0])
        assert work.started.wait(10)
        for number in numbers[1:]:
            pool.submit(submit, number)
        wait_until(lambda: len(commits._queue) >= len(numbers) - 1)
        work.go_on.set()
    return answers


def commits_of(
    engine: Engine, work: Callable[[Connection, Sequence[int]], Sequence[int]], **options: Any
) -> GroupCommit[int, int]:
    return GroupCommit(
        engine, work, find_answers=lambda _, numbers: [None] * len(numbers), **{"group_timeout": 5, **options}
    )


def test_requests_that_wait_during_a_commit_share_the_next(engine: Engine) -> None:
    work = Work()
    answers = gathered(commits_of(engine, work, queue_size=100, queue_timeout=10), work, range(1, 31))
    assert answers == {number: number * 2 for number in range(1, 31)}
    assert [len(group) for group in work.groups] == [1, 29]
    assert stored(engine) == set(range(1, 31))


def test_a_single_request_does_not_wait(engine: Engine) -> None:
    work = Work()
    work.go_on.set()
    assert commits_of(engine, work, queue_size=1, queue_timeout=10).submit(5) == 10


def test_a_failing_request_does_not_fail_others_of_its_group(engine: Engine) -> None:
    work = Work()
    answers = gathered(commits_of(engine, work, queue_size=100, queue_timeout=10), work, [1, 2, -3, 4])
    assert isinstance(answers.pop(-3), ValueError)
    assert answers == {1: 2, 2: 4, 4: 8}
    assert stored(engine) == {1, 2, 4}


def test_a_full_queue_rejects_requests(engine: Engine) -> None:
    work = Work()
    commits = commits_of(engine, work, queue_size=3, queue_timeout=10)
    answers = {}
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(commits.submit, 1)
        assert work.started.wait(10)
        waiting = [pool.submit(commits.submit, number) for number in (2, 3, 4)]
        wait_until(lambda: len(commits._queue) >= 3)
        with pytest.raises(TryAgainError, match="queue full"):
            commits.submit(5)
        work.go_on.set()
        answers = {1: first.result()} | {n: future.result() for n, future in zip((2, 3, 4), waiting, strict=True)}
    assert answers == {1: 2, 2: 4, 3: 6, 4: 8}
    assert stored(engine) == {1, 2, 3, 4}


def test_a_request_that_times_out_in_the_queue_writes_nothing(engine: Engine) -> None:
    work = Work()
    commits = commits_of(engine, work, queue_size=100, queue_timeout=0.1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(commits.submit, 1)
        assert work.started.wait(10)
        with pytest.raises(TryAgainError, match="timed out in the queue"):
            commits.submit(2)
        work.go_on.set()
        assert first.result() == 2
    assert stored(engine) == {1}
    assert commits.submit(3) == 6


def lost() -> OperationalError:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    return OperationalError("INSERT", {}, full)


def test_a_group_whose_connection_is_lost_is_run_once_more(engine: Engine) -> None:
    calls = []

    def work(connection: Connection, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        if len(calls) <= 3:
            raise lost()
        return [0 for _ in numbers]

    commits = commits_of(engine, work, queue_size=100, queue_timeout=10)
    with pytest.raises(TryAgainError, match="lost"):
        commits.submit(1)
    assert commits.submit(2) == 0
    assert calls == [[1], [1], [2], [2]]


def test_a_group_that_has_no_time_left_is_not_run_again(engine: Engine) -> None:
    calls = []

    def work(connection: Connection, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        time.sleep(0.05)
        raise lost()

    with pytest.raises(TryAgainError, match="lost"):
        commits_of(engine, work, queue_size=100, queue_timeout=10, group_timeout=0.01).submit(1)
    assert calls == [[1]]


def test_answers_that_were_committed_before_the_connection_was_lost_are_given(engine: Engine) -> None:
    calls = []

    def work(connection: Connection, numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        if len(calls) == 1:
            raise lost()
        return [number * 2 for number in numbers]

    commits = GroupCommit(
        engine,
        work,
        find_answers=lambda _, numbers: [7 if number == 1 else None for number in numbers],
        queue_size=100,
        queue_timeout=10,
        group_timeout=5,
    )
    assert commits.run_together([1, 5]) == [7, 10]
    assert calls == [[1, 5], [5]]


def test_an_answer_is_given_only_after_its_commit(engine: Engine) -> None:
    work = Work()
    work.go_on.set()
    commits = commits_of(engine, work, queue_size=100, queue_timeout=10)

    def submit_and_look(number: int) -> bool:
        commits.submit(number)
        return number in stored(engine)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(submit_and_look, range(200)))


def test_many_requests_with_a_short_timeout_are_all_answered(engine: Engine) -> None:
    """Time-outs, leader changes and late wake-ups race; no request hangs, and answered requests are stored."""

    def work(connection: Connection, numbers: Sequence[int]) -> list[int]:
        time.sleep(0.002)
        for number in numbers:
            connection.execute(text("INSERT INTO seen VALUES (:number)"), {"number": number})
        return [number * 2 for number in numbers]

    commits = commits_of(engine, work, queue_size=1000, queue_timeout=0.003, largest_group=3)
    answered: set[int] = set()

    def submit(number: int) -> None:
        try:
            assert commits.submit(number) == number * 2
            answered.add(number)
        except TryAgainError:
            pass

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(submit, range(1500)))
    assert answered == stored(engine)
    assert answered
    assert not commits._queue
    assert not commits._has_leader
