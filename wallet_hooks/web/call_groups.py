"""Collects calls to a GroupedApi, and has them answered in groups by two threads beside a server's loop.

The server's loop calls everything here; only the answering itself, and reading what is cached, run in threads.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import inf
from typing import Any, NamedTuple

from wallet_hooks import clock
from wallet_hooks.web import api
from wallet_hooks.web.api import POSTPONED, ApiRequest, Call, Endpoint, GroupedApi, Postponed, Reply
from wallet_hooks.web.causes import log_defect
from wallet_hooks.web.requests import Environ

# Seconds that a group waits at most, after the last one was answered, for as many calls as took part in that one or
# waited beside it: clients answer with their next request. Otherwise two halves of the clients would take turns, and a
# bet in a group of half the size costs nearly twice as much.
_GATHER = 0.001
# Seconds in which a call whose customer is locked is tried again with the next groups. Most such locks are of another
# worker's group and end within milliseconds; a call that waits for its lock may wait behind others.
LOCK_RETRY_SECONDS = 0.05
_PAUSE = 0.0005  # seconds between two such tries, if no other call arrives meanwhile
_REFRESH = 0.5  # seconds after which what is cached for all calls is read again


# Receives the reply to a call; None means that there is none, because a defect prevented it.
ReplyCallback = Callable[[Reply | None], None]
# Has a function called in the loop's thread, with arguments.
Defer = Callable[..., None]


class WaitingCall(NamedTuple):
    """A call that waits for its group, and the function that gets its reply.

    `until` is the monotonic instant until which it is tried again; it is set when a group first leaves it out.
    """

    call: Call
    on_reply: ReplyCallback
    until: float = inf


Answered = Sequence[tuple[WaitingCall, Reply | Postponed | None]]


class CallGroups:
    """Calls that wait for their group. A call that its group leaves out is tried again for a moment, and then waits for
    its locks with others of its kind. Those that a group postpones are the first of the next one.
    """

    def __init__(self, grouped: GroupedApi, defer: Defer) -> None:
        self._grouped = grouped
        self._calls = _CallQueue(grouped, defer, self._finish, wait=False)
        self._locked_calls = _CallQueue(grouped, defer, self._finish_locked, wait=True)
        self._refreshing: Future[None] | None = None
        self._refresher = ThreadPoolExecutor(max_workers=1)
        self._refresh_at = 0.0
        self._left_out: deque[WaitingCall] = deque()
        self._try_again_at = 0.0
        self._expected = 0  # calls of the next group
        self._gather_until = 0.0

    def add(self, endpoint: Endpoint, environ: Environ, body: bytes, on_reply: ReplyCallback) -> None:
        """Add a call that has arrived, its body checked by `body_length`; it is refused at once if the queue is full.

        The `environ` is only read: other calls may have the same.
        """
        call = Call(endpoint, ApiRequest(environ, self._grouped.settings, body=body))
        self._calls.queue.append(WaitingCall(call, on_reply))
        if sum(map(len, self._queues)) > self._grouped.settings.queue_size:
            self._refuse(self._calls.queue.pop())

    def start(self) -> None:
        """Start a group, if none is running and its calls have gathered."""
        now = clock.monotonic()
        queue = self._calls.queue
        has_gathered = queue and (len(queue) >= self._expected or now >= self._gather_until)
        if not self._calls.is_running and (has_gathered or (self._left_out and now >= self._try_again_at)):
            # Those that were left out come last, so that many of them hold up no other call.
            while self._left_out and len(queue) < self._grouped.largest_group:
                queue.append(self._left_out.popleft())
            self._calls.start()
        if self._calls.is_running and now >= self._refresh_at and (self._refreshing is None or self._refreshing.done()):
            self._refresh_at = now + _REFRESH
            self._refreshing = self._refresher.submit(self._grouped.refresh)
            self._refreshing.add_done_callback(_log_refresh_defect)

    def refuse_late(self) -> None:
        """Refuse the calls that have waited too long for their groups."""
        for queue in self._queues:
            while queue and self._seconds_until_refused(queue[0]) <= 0:
                self._refuse(queue.popleft())

    def seconds(self) -> Iterator[float]:
        """Yield after how many seconds the loop has to call `start` or `refuse_late`."""
        for queue in self._queues:
            if queue:
                yield self._seconds_until_refused(queue[0])
        if not self._calls.is_running:
            if self._calls.queue:
                yield self._gather_until - clock.monotonic()
            if self._left_out:
                yield self._try_again_at - clock.monotonic()

    @property
    def _queues(self) -> tuple[deque[WaitingCall], ...]:
        return self._calls.queue, self._left_out, self._locked_calls.queue

    def _seconds_until_refused(self, waiting: WaitingCall) -> float:
        return waiting.call.request.started + self._grouped.settings.request_timeout - clock.monotonic()

    def _refuse(self, waiting: WaitingCall) -> None:
        waiting.on_reply(api.refuse_busy(self._grouped, waiting.call))

    def _finish(self, answered: Answered) -> None:
        now = clock.monotonic()
        postponed = [waiting for waiting, reply in answered if reply is POSTPONED]
        self._calls.queue.extendleft(reversed(postponed))
        self._expected = sum(isinstance(reply, Reply) for _, reply in answered) + len(self._calls.queue)
        self._gather_until = now + _GATHER
        self._try_again_at = now + _PAUSE
        left_out = list(self._left_out)
        for waiting, reply in answered:
            if isinstance(reply, Reply):
                waiting.on_reply(reply)
            elif reply is None:
                left_out.append(waiting._replace(until=min(waiting.until, now + LOCK_RETRY_SECONDS)))
        self._left_out = deque(waiting for waiting in left_out if now < waiting.until)
        self._locked_calls.queue.extend(waiting for waiting in left_out if now >= waiting.until)
        self._locked_calls.start()

    def _finish_locked(self, answered: Answered) -> None:
        for waiting, reply in answered:
            assert reply is not POSTPONED, "calls that wait for locks are all answered"
            waiting.on_reply(reply)
        self._locked_calls.start()


def _log_refresh_defect(refreshing: "Future[None]") -> None:
    if (defect := refreshing.exception()) is not None:
        log_defect(defect, request_id="", path="refresh of the directory")


class _CallQueue:
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
            log_defect(defect, request_id=waiting.call.request.id, path=waiting.call.endpoint.path)
            waiting.on_reply(None)
        if self._wait:  # the other queue is started by the loop
            self.start()
