"""The cached brands and providers: who waits for a read of the database, and for how long."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from tests.world import OK, World, bet, error
from wallet_hooks.errors import TryAgainError
from wallet_hooks.identity import directory
from wallet_hooks.identity.directory import DirectoryCache, read_directory


class SlowReads:
    """Takes the place of `read_directory`: a read begins, and goes on when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = Event(), Event()
        monkeypatch.setattr(directory, "read_directory", self)

    def __call__(self, engine: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(30)
        return read_directory(engine)


def test_who_comes_during_a_long_first_read_is_to_try_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not told that it is unauthenticated: a provider would not send the bet again."""
    reads = SlowReads(monkeypatch)
    monkeypatch.setattr(directory, "_FIRST_WAIT", 0.05)
    assert world.app
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.place, bet(1))
        assert reads.begun.wait(30)
        assert world.place(bet(2)) == error(503, "try_again")
        reads.go_on.set()
        assert first.result() == OK
    assert world.place(bet(2)) == OK


def test_a_stale_directory_is_used_while_another_caller_reads_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    cache = DirectoryCache(world.engine, lambda: now[0])
    before = cache.get()
    now[0] = 100.0
    reads = SlowReads(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(cache.get)
        assert reads.begun.wait(30)
        assert cache.get() is before
        reads.go_on.set()
        assert reader.result() is not before


def test_a_database_without_brands_is_read_once_a_second_too(database_url: str) -> None:
    world = World(database_url)
    now = [0.0]
    cache = DirectoryCache(world.engine, lambda: now[0])
    first = cache.get()
    assert cache.get() is first
    world.close()


def test_a_failed_first_read_is_not_repeated_by_all_who_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DirectoryCache(world.engine, lambda: 0.0)
    monkeypatch.setattr(directory, "_RETRY_AFTER", 1.0)
    monkeypatch.setattr(cache, "_failed_at", 0.0)
    with pytest.raises(TryAgainError):
        cache.get()
