"""Group commit: concurrent requests share one database transaction, and each gets its own answer after the commit.

Leader and followers, without a separate thread: a request becomes the leader if there is none. The leader takes all
waiting requests, runs them in one database transaction, sets each one's answer and makes the first request that arrived
meanwhile the next leader. A single request does not wait; under load, the next group gathers during a commit.

A server that collects requests itself needs no queue: it runs those that have arrived as one group, see `run_together`.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from sqlalchemy import Connection, Engine

from wallet_hooks import clock
from wallet_hooks.database import Fault, fault_of, has_row_locks, shorten_lock_timeout
from wallet_hooks.database.connecting import replace_connections
from wallet_hooks.database.deadlines import answer_within, is_too_late, seconds_left
from wallet_hooks.database.faults import RETRIED_FAULTS, driver_error, state_of
from wallet_hooks.database.writes import await_standby, transaction
from wallet_hooks.errors import TryAgainError
from wallet_hooks.logs import LOG
from wallet_hooks.telemetry import DATABASE_SECONDS, GROUP_FAULTS, GROUP_SIZE

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")

LARGEST_GROUP = 128
_MAX_ATTEMPTS = 4
# Seconds that a follower sleeps when it becomes the leader, so that answered requests can finish and arriving ones can
# join. A request that leads at once does not sleep.
_GATHER_SECONDS = 0.0005
_RETRIED_IN_GROUP = (*RETRIED_FAULTS, Fault.LOST)  # after LOST, the retry opens another connection
# After these faults the work may be committed already: it is looked up before it is done again. A connection may have
# been lost with the answer to COMMIT.
_PERHAPS_DONE = (Fault.DUPLICATE, Fault.LOST)


class _Waiter(Generic[RequestT, AnswerT]):
    """A request in the queue. Each has its own lock to wait on, because a shared one causes a lock convoy."""

    __slots__ = ("answer", "deadline", "error", "is_answered", "is_leader", "request", "wake_up")

    def __init__(self, request: RequestT, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.answer: AnswerT | None = None
        self.is_answered = False
        self.error: Exception | None = None
        self.is_leader = False
        self.wake_up = threading.Lock()
        self.wake_up.acquire()

    def result(self) -> AnswerT:
        if self.error is not None:
            raise self.error
        assert self.is_answered, "a waiter is woken with an answer, with an error or as leader"
        return cast("AnswerT", self.answer)


class GroupCommit(Generic[RequestT, AnswerT]):
    """Runs `work(connection, requests)`, which returns one answer per request, in few database transactions.

    `find_answers(connection, requests)` returns, for each request, the answer that an earlier attempt has committed, or
    None; if one was committed, `work` must fail with a duplicate key. `queue_timeout` is in seconds: a request that has
    not started by then leaves the queue, and nothing is written. A group gives up after `group_timeout` seconds.
    """

    def __init__(
        self,
        engine: Engine,
        work: Callable[[Connection, Sequence[RequestT]], Sequence[AnswerT]],
        *,
        find_answers: Callable[[Connection, Sequence[RequestT]], Sequence[AnswerT | None]],
        queue_size: int,
        queue_timeout: float,
        group_timeout: float,
        largest_group: int = LARGEST_GROUP,
    ) -> None:
        self._engine = engine
        self._work = work
        self._find_answers = find_answers
        self._queue_size = queue_size
        self._queue_timeout = queue_timeout
        self._group_timeout = group_timeout
        self._largest_group = largest_group
        self._mutex = threading.Lock()
        self._queue: deque[_Waiter[RequestT, AnswerT]] = deque()
        self._has_leader = False

    def submit(self, request: RequestT) -> AnswerT:
        """Run a request and return its answer, after the commit.

        Raises TryAgainError if it is not known to be done: nothing was done, or the connection was lost and the
        database could not be asked in time whether it had committed. Raises the errors of `work` for this request.
        """
        waiter = self._waiter(request)
        with self._mutex:
            if len(self._queue) >= self._queue_size:
                raise TryAgainError(f"queue full: {self._queue_size} requests wait already")
            self._queue.append(waiter)
            waiter.is_leader = not self._has_leader
            self._has_leader = True
        if not waiter.is_leader:
            self._wait(waiter)
            if waiter.is_leader:
                time.sleep(_GATHER_SECONDS)
        if waiter.is_leader:
            self._run_as_leader(waiter)
        return waiter.result()

    def run_together(self, requests: Sequence[RequestT]) -> list[AnswerT | Exception]:
        """Run requests as a group of their own, in the calling thread, and return each one's answer or error.

        The errors are those of `submit`.
        """
        waiters = [self._waiter(request) for request in requests]
        if waiters:
            self._run(waiters)
        return [cast("AnswerT", waiter.answer) if waiter.error is None else waiter.error for waiter in waiters]

    def _waiter(self, request: RequestT) -> _Waiter[RequestT, AnswerT]:
        return _Waiter(request, clock.monotonic() + self._queue_timeout)

    def _wait(self, waiter: _Waiter[RequestT, AnswerT]) -> None:
        if waiter.wake_up.acquire(timeout=self._queue_timeout):
            return
        with self._mutex:
            if waiter in self._queue and not waiter.is_leader:
                self._queue.remove(waiter)
                raise TryAgainError("timed out in the queue")
        # Its group is running, and ends in time.
        waiter.wake_up.acquire()

    def _run_as_leader(self, own: _Waiter[RequestT, AnswerT]) -> None:
        with self._mutex:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._largest_group))]
        assert group[0] is own, "the leader is the oldest request in the queue"
        try:
            self._run(group)
        finally:
            for waiter in group:
                if not waiter.is_answered and waiter.error is None:
                    waiter.error = TryAgainError("the request's group was interrupted")
                if waiter is not own:
                    waiter.wake_up.release()
            self._pass_leadership()

    def _pass_leadership(self) -> None:
        with self._mutex:
            self._has_leader = bool(self._queue)
            if self._has_leader:
                self._queue[0].is_leader = True
                self._queue[0].wake_up.release()

    def _run(self, group: list[_Waiter[RequestT, AnswerT]]) -> None:
        GROUP_SIZE.observe(len(group))
        with answer_within(self._group_timeout):
            try:
                self._commit(group)
            except Exception as error:
                fault = fault_of(error)
                if len(group) == 1 or fault is Fault.LOST or (fault is Fault.LATE and not has_row_locks(self._engine)):
                    self._fail(group, error, fault)
                else:
                    self._run_one_by_one(group, fault)

    def _run_one_by_one(self, group: list[_Waiter[RequestT, AnswerT]], fault: Fault) -> None:
        """Run each request alone, so that a bad request fails only itself; requests past their deadline are not run."""
        GROUP_FAULTS.labels(fault.value).inc()
        for waiter in group:
            if clock.monotonic() > waiter.deadline or seconds_left() <= 0:
                waiter.error = TryAgainError("timed out in the queue")
                continue
            try:
                self._commit([waiter], short_lock_wait=fault is Fault.LATE)
            except Exception as error:
                self._fail([waiter], error, fault_of(error))

    def _commit(self, group: list[_Waiter[RequestT, AnswerT]], *, short_lock_wait: bool = False) -> None:
        """Run and commit a group. `short_lock_wait`: do not wait long for locks, after a time-out before."""
        requests = [waiter.request for waiter in group]
        work, attempts_left = self._work, _MAX_ATTEMPTS
        while True:
            started = clock.monotonic()
            attempts_left -= 1
            is_connected = False
            try:
                with transaction(self._engine) as connection:
                    is_connected = True
                    if short_lock_wait:
                        shorten_lock_timeout(connection)
                    answers = work(connection, requests)
                break
            except Exception as error:
                fault = fault_of(error)
                if fault is Fault.LOST and is_connected and not is_too_late(error):
                    replace_connections(self._engine)  # the pool's other connections are probably lost as well
                if not attempts_left or fault not in _RETRIED_IN_GROUP or seconds_left() <= 0:
                    raise
                if fault is Fault.LOST:
                    attempts_left = 1
                if fault in _PERHAPS_DONE:
                    work = self._work_if_not_done
        DATABASE_SECONDS.observe(clock.monotonic() - started)
        for waiter, answer in zip(group, answers, strict=True):
            waiter.answer, waiter.is_answered = answer, True

    def _work_if_not_done(self, connection: Connection, requests: Sequence[RequestT]) -> list[AnswerT]:
        """Return the answers that were committed, and work for the other requests."""
        found = self._find_answers(connection, requests)
        if any(answer is not None for answer in found):
            await_standby(connection)
        missing = [request for request, answer in zip(requests, found, strict=True) if answer is None]
        answers = iter(self._work(connection, missing) if missing else ())
        return [next(answers) if answer is None else answer for answer in found]

    def _fail(self, group: list[_Waiter[RequestT, AnswerT]], error: Exception, fault: Fault) -> None:
        is_defect = fault in (Fault.OTHER, Fault.OUT_OF_RANGE)
        for waiter in group:
            waiter.error = error if is_defect else TryAgainError(fault.value)
        GROUP_FAULTS.labels(fault.value).inc()
        cause = driver_error(error)
        facts = {"error": type(cause).__name__, "state": state_of(cause)}
        LOG.warning("group_failed", fault=fault.value, requests=len(group), **facts)
