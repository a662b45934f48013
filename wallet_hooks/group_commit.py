"""Concurrent requests share one database transaction, and each gets its own answer after the commit.

Leader and followers, without a thread of its own: a request that finds nobody leading leads; it takes all that wait,
runs them in one transaction, hands each its answer and wakes the first that came meanwhile to lead next. A lone
request waits for nobody; under load, a commit in flight gathers the next group.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine

from wallet_hooks import clock
from wallet_hooks.database import Fault, fault_of, has_row_locks, wait_briefly
from wallet_hooks.errors import TryAgainError
from wallet_hooks.telemetry import DATABASE_SECONDS, GROUP_FAULTS, GROUP_SIZE, LOG

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_ATTEMPTS = 4
# Seconds for which a request that is handed the lead lets go of the processor: those just answered can leave, those
# on their way can join. One that finds nobody leading does not wait.
_GATHERING = 0.0005
# Faults after which the very same work, started anew, sees what it could not see before.
_WORTH_RETRYING = (Fault.CONTENDED, Fault.DUPLICATE, Fault.CLOSED_PERIOD)


class _Seat(Generic[Request, Answer]):
    """One request's place: each waits on a lock of its own, because a shared one makes a convoy."""

    __slots__ = ("answer", "deadline", "error", "leads", "request", "woken")

    def __init__(self, request: Request, deadline: float) -> None:
        self.request = request
        self.deadline = deadline
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.leads = False
        self.woken = threading.Lock()
        self.woken.acquire()

    def result(self) -> Answer:
        if self.error is not None:
            raise self.error
        assert self.answer is not None, "a seat is woken with an answer, an error or the lead"
        return self.answer


class GroupCommit(Generic[Request, Answer]):
    """Runs `work(connection, requests)`, which returns one answer a request, in as few transactions as there can be.

    `patience` is in seconds: a request that could not start by then leaves the queue, with nothing written.
    """

    def __init__(
        self,
        engine: Engine,
        work: Callable[[Connection, Sequence[Request]], Sequence[Answer]],
        *,
        queue_size: int,
        patience: float,
        largest_group: int = 128,
    ) -> None:
        self._engine = engine
        self._work = work
        self._queue_size = queue_size
        self._patience = patience
        self._largest_group = largest_group
        self._mutex = threading.Lock()
        self._queue: deque[_Seat[Request, Answer]] = deque()
        self._led = False

    def submit(self, request: Request) -> Answer:
        """The request's own answer, given after the commit that made it true.

        Raises TryAgainError when nothing was done (or, after a lost connection, nothing is known to be done), and
        whatever `work` raised for this request.
        """
        seat: _Seat[Request, Answer] = _Seat(request, clock.monotonic() + self._patience)
        with self._mutex:
            if len(self._queue) >= self._queue_size:
                raise TryAgainError("the queue is full")
            self._queue.append(seat)
            seat.leads = not self._led
            self._led = True
        if not seat.leads:
            self._wait(seat)
            if seat.leads:
                time.sleep(_GATHERING)
        if seat.leads:
            self._lead(seat)
        return seat.result()

    def _wait(self, seat: _Seat[Request, Answer]) -> None:
        if seat.woken.acquire(timeout=self._patience):
            return
        with self._mutex:
            if seat in self._queue and not seat.leads:
                self._queue.remove(seat)
                raise TryAgainError("the wait ran out")
        # Its group is under way, and ends within the database's own timeouts unless the database hangs altogether.
        if not seat.woken.acquire(timeout=max(1.0, self._patience)):
            raise TryAgainError("the database does not answer")

    def _lead(self, own: _Seat[Request, Answer]) -> None:
        with self._mutex:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._largest_group))]
        assert group[0] is own, "who leads has waited longest"
        try:
            self._run(group)
        finally:
            for seat in group:
                if seat.answer is None and seat.error is None:
                    seat.error = TryAgainError("the group was interrupted")
                if seat is not own:
                    seat.woken.release()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._mutex:
            self._led = bool(self._queue)
            if self._led:
                self._queue[0].leads = True
                self._queue[0].woken.release()

    def _run(self, group: list[_Seat[Request, Answer]]) -> None:
        GROUP_SIZE.observe(len(group))
        try:
            self._commit(group)
        except Exception as error:
            fault = fault_of(error)
            if len(group) == 1 or fault is Fault.LOST or (fault is Fault.LATE and not has_row_locks(self._engine)):
                self._fail(group, error, fault)
            else:
                self._run_one_by_one(group, fault)

    def _run_one_by_one(self, group: list[_Seat[Request, Answer]], fault: Fault) -> None:
        """One bad request must not fail its neighbours; those whose time is over are not begun."""
        GROUP_FAULTS.labels(fault.value).inc()
        for seat in group:
            if clock.monotonic() > seat.deadline:
                seat.error = TryAgainError("the wait ran out")
                continue
            try:
                self._commit([seat], briefly=fault is Fault.LATE)
            except Exception as error:
                self._fail([seat], error, fault_of(error))

    def _commit(self, group: list[_Seat[Request, Answer]], *, briefly: bool = False) -> None:
        """Run and commit a group. `briefly`: somebody was waited for already, and not again as long."""
        requests = [seat.request for seat in group]
        for attempt in range(1, _ATTEMPTS + 1):
            started = clock.monotonic()
            try:
                with self._engine.begin() as connection:
                    if briefly:
                        wait_briefly(connection)
                    answers = self._work(connection, requests)
                break
            except Exception as error:
                if attempt == _ATTEMPTS or fault_of(error) not in _WORTH_RETRYING:
                    raise
        DATABASE_SECONDS.observe(clock.monotonic() - started)
        for seat, answer in zip(group, answers, strict=True):
            seat.answer = answer

    def _fail(self, group: list[_Seat[Request, Answer]], error: Exception, fault: Fault) -> None:
        is_ours = fault in (Fault.OTHER, Fault.OUT_OF_RANGE)
        for seat in group:
            seat.error = error if is_ours else TryAgainError(fault.value)
        if fault is Fault.LOST:
            self._engine.dispose()  # the pool's other connections are as dead as this one
        GROUP_FAULTS.labels(fault.value).inc()
        LOG.warning("group_failed", fault=fault.value, requests=len(group), error=type(error).__name__)
