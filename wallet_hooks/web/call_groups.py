"""Collects calls to a GroupedApi, and has them answered in groups by two threads beside a server's loop.

The server's loop calls everything here; only the answering itself, and reading what is cached, run in threads.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from wallet_hooks import clock
from wallet_hooks.web import api
from wallet_hooks.web.api import ApiRequest, Call, Endpoint, GroupedApi, Reply
from wallet_hooks.web.requests import Environ

# Seconds that a group waits at most, after the last one was answered, for as many calls as took part in that one or
# waited beside it: clients answer with their next request. Otherwise two halves of the clients would take turns, and a
# bet in a group of half the size costs nearly twice as much.
_GATHER = 0.001
# Seconds in which a call whose customer is locked is tried again in the next groups. Most such locks are of another
# worker's group and end within milliseconds; a call that waits for its lock may wait behind others.
_TRY_AGAIN = 0.05
_REFRESH = 0.5  # seconds after which what is cached for all calls is read again


# Is given the reply to a call; None means that there is none, because a defect prevented it.
Tell = Callable[[Reply | None], None]
# Has a function called in the loop's thread, with arguments.
Defer = Callable[..., None]


class WaitingCall(NamedTuple):
    """A call that waits for its group, and the function that gets its reply.

    `until` is the monotonic instant to which it is tried again, if a group has left it out.
    """

    call: Call
    tell: Tell
    until: float | None = None


Answered = Sequence[tuple[WaitingCall, Reply | None]]


class CallGroups:
    """Calls that wait for their group. A call that its group leaves out is tried again for a moment, and then waits for
    its locks with others of its kind.
    """

    def __init__(self, grouped: GroupedApi, defer: Defer) -> None:
        self._grouped = grouped
        self._calls = _Lane(grouped, defer, self._finish, wait=False)
        self._locked_calls = _Lane(grouped, defer, self._finish_locked, wait=True)
        self._refreshing: Future[None] | None = None
        self._refresher = ThreadPoolExecutor(max_workers=1)
        self._refresh_at = 0.0
        self._expected = 0  # calls of the next group
        self._gather_until = 0.0

    def add(self, endpoint: Endpoint, environ: Environ, tell: Tell) -> None:
        """Add a call that has arrived; it is refused at once if the queue is full."""
        call = Call(endpoint, ApiRequest(environ, self._grouped.settings))
        self._calls.queue.append(WaitingCall(call, tell))
        if sum(len(lane.queue) for lane in self._lanes) > self._grouped.settings.queue_size:
            self._refuse(self._calls.queue.pop())

    def start(self) -> None:
        """Start a group, if none is running and its calls have gathered."""
        now = clock.monotonic()
        if len(self._calls.queue) >= self._expected or now >= self._gather_until:
            self._calls.start()
        if self._calls.is_running and now >= self._refresh_at and (self._refreshing is None or self._refreshing.done()):
            self._refresh_at = now + _REFRESH
            self._refreshing = self._refresher.submit(self._grouped.refresh)
            self._refreshing.add_done_callback(_log_defect)

    def refuse_late(self) -> None:
        """Refuse the calls that have waited too long for their groups."""
        for lane in self._lanes:
            while lane.queue and self._patience(lane.queue[0]) <= 0:
                self._refuse(lane.queue.popleft())

    def seconds(self) -> Iterator[float]:
        """Yield after how many seconds the loop has to call `start` or `refuse_late`."""
        for lane in self._lanes:
            if lane.queue:
                yield self._patience(lane.queue[0])
        if self._calls.queue and not self._calls.is_running:
            yield self._gather_until - clock.monotonic()

    @property
    def _lanes(self) -> "tuple[_Lane, _Lane]":
        return self._calls, self._locked_calls

    def _patience(self, waiting: WaitingCall) -> float:
        return waiting.call.request.started + self._grouped.settings.request_timeout - clock.monotonic()

    def _refuse(self, waiting: WaitingCall) -> None:
        waiting.tell(api.refuse_busy(self._grouped, waiting.call))

    def _finish(self, answered: Answered) -> None:
        now = clock.monotonic()
        self._expected = len(answered) + len(self._calls.queue)
        self._gather_until = now + _GATHER
        left_out = []
        for waiting, reply in answered:
            if reply is not None:
                waiting.tell(reply)
            elif waiting.until is None:
                left_out.append(waiting._replace(until=now + _TRY_AGAIN))
            elif now < waiting.until:
                left_out.append(waiting)
            else:
                self._locked_calls.queue.append(waiting)
        self._calls.queue.extendleft(reversed(left_out))
        self._locked_calls.start()

    def _finish_locked(self, answered: Answered) -> None:
        for waiting, reply in answered:
            waiting.tell(reply)
        self._locked_calls.start()


def _log_defect(refreshing: "Future[None]") -> None:
    if (defect := refreshing.exception()) is not None:
        api.log_defect(defect, request_id="", path="refresh of the directory")


class _Lane:
    """A queue of calls, and a thread that answers them, one group at a time.

    `finish` is called in the loop's thread, with the calls of a group and their replies.
    """

    def __init__(self, grouped: GroupedApi, defer: Defer, finish: Callable[[Answered], None], *, wait: bool) -> None:
        self.queue: deque[WaitingCall] = deque()
        self.is_running = False
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._grouped = grouped
        self._defer = defer
        self._finish = finish
        self._wait = wait

    def start(self) -> None:
        """Start a group, if calls wait and none is running."""
        if self.queue and not self.is_running:
            self.is_running = True
            group = [self.queue.popleft() for _ in range(min(len(self.queue), self._grouped.largest_group))]
            calls = [waiting.call for waiting in group]
            running = self._thread.submit(api.answer_group, self._grouped, calls, wait=self._wait)
            running.add_done_callback(lambda done: self._defer(self._end, group, done))

    def _end(self, group: Sequence[WaitingCall], done: "Future[list[Any]]") -> None:
        self.is_running = False
        defect = done.exception()
        if defect is None:
            self._finish(list(zip(group, done.result(), strict=True)))
            return
        for waiting in group:
            api.log_defect(defect, request_id=waiting.call.request.id, path=waiting.call.endpoint.path)
            waiting.tell(None)
