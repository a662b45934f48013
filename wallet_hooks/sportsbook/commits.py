"""The queues of group commits in which callbacks are processed: one for all, or one for each brand that has a schema.

A group of the latter is of one schema and so, on Citus, of one node.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property
from typing import Any

from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import brand_engine, has_brand_schemas
from wallet_hooks.database.citus import has_citus
from wallet_hooks.errors import TryAgainError
from wallet_hooks.group_commit import GroupCommit
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook import service
from wallet_hooks.sportsbook.loading import Locate
from wallet_hooks.sportsbook.messages import Answer, Callback
from wallet_hooks.sportsbook.several_brands import brand_of, process_over_brands
from wallet_hooks.web.api import POSTPONED, Postponed

_Commits = GroupCommit[Callback, Answer | None]
_GROUPS_AT_ONCE = 4  # of each kind; the pool has twice as many connections
# A circuit breaker for each brand: one whose group took longer than _SLOW and failed is refused at once for a while, so
# that callbacks of other brands, which arrive with its own, seldom wait for it. In seconds.
_SLOW = 1.0
_OPEN_SECONDS = 2.0


class CallbackCommits:
    """Processes callbacks; without `wait`, those with a customer that another transaction has locked are left out."""

    def __init__(self, engine: Engine, settings: Settings, locate: Locate, *, wait: bool) -> None:
        self._engine = engine
        self._settings = settings
        self._locate = locate
        self._wait = wait
        self._has_queues = has_brand_schemas(engine)
        self._queues: dict[int | None, _Commits] = {None: self._queue(None)}
        self._open_until: dict[int | None, float] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_GROUPS_AT_ONCE - 1)

    def submit(self, callback: Callback) -> Answer | None:
        """Process a callback with others that arrive, as `GroupCommit.submit` does."""
        return self._queue_of(self._key(callback)).submit(callback)

    def run_together(self, callbacks: Sequence[Callback]) -> list[Answer | Exception | Postponed | None]:
        """Process callbacks that arrived together, as `GroupCommit.run_together` does.

        Of several brands with schemas on one server, those of the first callback's brand are processed, and the others
        postponed: meanwhile more of theirs arrive, and a larger group costs less for each. On several nodes, and while
        waiting for locks, the groups of all brands run at once.
        """
        if not self._has_queues:
            return [*self._queues[None].run_together(callbacks)]
        indexes_by_key: dict[int | None, list[int]] = {}
        for index, callback in enumerate(callbacks):
            indexes_by_key.setdefault(self._key(callback), []).append(index)
        groups = [(key, indexes, [callbacks[one] for one in indexes]) for key, indexes in indexes_by_key.items()]
        if len(groups) > 1 and not self._wait and self._is_on_one_server:
            groups = groups[:1]
        # All but the last group run in other threads, bounded as this one is.
        running = [
            (indexes, self._threads.submit(copy_context().run, self._run, key, group))
            for key, indexes, group in groups[:-1]
        ]
        results = [(indexes, self._run(key, group)) for key, indexes, group in groups[-1:]]
        results += [(indexes, run.result()) for indexes, run in running]
        answers: list[Any] = [POSTPONED] * len(callbacks)
        for indexes, found in results:
            for index, answer in zip(indexes, found, strict=True):
                answers[index] = answer
        return answers

    @cached_property
    def _is_on_one_server(self) -> bool:
        with self._engine.connect() as connection:
            return not has_citus(connection)

    def _run(self, key: int | None, group: Sequence[Callback]) -> list[Answer | Exception | None]:
        """Run the group of one brand; refuse it at once while the brand's circuit breaker is open."""
        began = clock.monotonic()
        if began < self._open_until.get(key, 0):
            return [TryAgainError("the brand's database did not answer in time a moment ago") for _ in group]
        results = self._queue_of(key).run_together(group)
        if clock.monotonic() - began > _SLOW and all(isinstance(result, TryAgainError) for result in results):
            self._open_until[key] = clock.monotonic() + _OPEN_SECONDS
        return results

    def _key(self, callback: Callback) -> int | None:
        return brand_of(callback) if self._has_queues else None

    def _queue_of(self, key: int | None) -> _Commits:
        if (queue := self._queues.get(key)) is None:
            with self._lock:
                queue = self._queues.setdefault(key, self._queue(key))
        return queue

    def _queue(self, brand_id: int | None) -> _Commits:
        """Return the queue of a brand; None is that of all others, or of all."""
        process = process_over_brands if self._has_queues and brand_id is None else service.process_batch
        return GroupCommit(
            self._engine if brand_id is None else brand_engine(self._engine, brand_id),
            lambda connection, callbacks: process(
                connection, callbacks, read_clock=clock.now, locate=self._locate, wait=self._wait
            ),
            find_answers=service.find_answers,
            queue_size=self._settings.queue_size,
            queue_timeout=self._settings.request_timeout,
            group_timeout=self._settings.callback_time_outs.answer,
        )
