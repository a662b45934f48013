"""`wallet-hooks betslips follow` against a real WebSocket server."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from websockets.sync import client
from websockets.sync.server import ServerConnection

from tests.betslips.platform import Platform, frame, platform, silent_platform
from tests.test_commands import Shell
from tests.waiting import wait_until
from tests.world import ACME, World
from wallet_hooks.betslips import following, intake
from wallet_hooks.betslips.following import Follower, StreamTimeOuts
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.database import reading
from wallet_hooks.identity.models import Brand

QUICK = StreamTimeOuts(opening=0.5, ping=0.2, pong=0.3)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(following, "_WAIT", 0.05)


@contextmanager
def followed(world: World, url: str, games: Sequence[str] = ("betflex",)) -> Iterator[None]:
    """Follow a stream in a thread."""
    with reading(world.engine) as session:
        brand_id = session.scalars(select(Brand.id).where(Brand.client == "acme")).one()
    stopping = threading.Event()
    follower = Follower(world.engine, url, [(brand_id, game) for game in games], stopping, time_outs=QUICK)
    thread = threading.Thread(target=follower.run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def count(world: World) -> int:
    with reading(world.engine) as session:
        return session.scalar(select(func.count()).select_from(Betslip)) or 0


def hold(platform: Platform) -> None:
    platform.stopping.wait()


def send_five_frames(platform: Platform, connection: ServerConnection, _: int) -> None:
    platform.send(connection, 0, 5)
    hold(platform)


def test_a_stream_that_drops_and_repeats_is_followed(world: World) -> None:
    """Each connection but the last is dropped after some frames, and repeats frames of the one before."""

    def script(platform: Platform, connection: ServerConnection, number: int) -> None:
        platform.send(connection, max(0, number * 10 - 5), number * 10 + 10)
        if number == 2:
            connection.send("not JSON")
            connection.send(json.dumps({"data": [["pmm", {}]]}))
            connection.send(json.dumps(frame(999)).encode())
        if number == 4:
            hold(platform)

    with platform(script) as running, followed(world, running.url):
        wait_until(lambda: count(world) == 51)
        assert running.connections == 5


def test_a_defect_of_the_connection_does_not_end_the_follower(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a redirection to no address."""
    calls: list[Any] = []

    def fail_once(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise ValueError("Invalid IPv6 URL")
        return client.connect(*arguments, **named)

    monkeypatch.setattr(following, "connect", fail_once)
    with platform(send_five_frames) as running, followed(world, running.url):
        wait_until(lambda: count(world) == 5)


def test_a_silent_connection_is_opened_again(world: World) -> None:
    with silent_platform() as (url, connections), followed(world, url):
        wait_until(lambda: count(world) == 2)
        assert len(connections) >= 4


@pytest.mark.parametrize("games", [("betflex",), ("betflex", "other")])
def test_a_frame_of_many_messages_is_stored_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch, games: tuple[str, ...]
) -> None:
    monkeypatch.setattr(following, "_MOST_AT_ONCE", 10)
    data = [["betslip", {"betslip_id": f"b{number}", "customer_username": "ann"}] for number in range(37)]
    sizes: list[int] = []
    store = intake.store_bodies

    def store_and_count(engine: Any, taken: Any, scopes: Any) -> None:
        sizes.append(sum(len(one.messages) for one in taken) * len(scopes))
        store(engine, taken, scopes)

    monkeypatch.setattr(following, "store_bodies", store_and_count)

    def script(platform: Platform, connection: ServerConnection, _: int) -> None:
        connection.send(json.dumps({"ts": 1, "data": data}))
        platform.send(connection, 100, 102)
        hold(platform)

    with platform(script) as running, followed(world, running.url, games):
        wait_until(lambda: count(world) == 39 * len(games))
    assert max(sizes) == 10
    assert world.count("betslip_message") == 39 * len(games)
    assert world.count("delivery") == 3


def test_a_part_whose_answer_is_lost_is_found_behind_the_rest_of_a_frame(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest has no delivery that would show that it is stored; the frame after it has one."""
    monkeypatch.setattr(following, "_MOST_AT_ONCE", 10)
    lost: list[bool] = []
    store = intake.store_bodies

    def lose_an_answer(engine: Any, taken: Any, scopes: Any) -> None:
        store(engine, taken, scopes)
        if not lost and taken[0].is_rest:
            lost.append(True)
            raise PoolTimeoutError

    monkeypatch.setattr(following, "store_bodies", lose_an_answer)
    data = [["betslip", {"betslip_id": f"b{number}", "customer_username": "ann"}] for number in range(12)]
    contents = (json.dumps({"ts": 1, "data": data}), json.dumps(frame(100)))
    follower = Follower(world.engine, "ws://unused", [(ACME, "betflex")], threading.Event())
    ending = threading.Timer(10, follower._stopping.set)
    ending.start()
    follower._take([following._body(content) for content in contents])
    ending.cancel()
    assert (lost, follower._stopping.is_set()) == ([True], False)
    assert world.count("betslip_message") == 13


def test_what_came_before_a_frame_that_is_too_large_is_stored(world: World) -> None:
    def script(platform: Platform, connection: ServerConnection, _: int) -> None:
        platform.send(connection, 0, 1)
        connection.send(["{"] + ["x"] * 5000)  # more fragments than the library takes
        platform.send(connection, 1, 2)
        hold(platform)

    with platform(script) as running, followed(world, running.url):
        wait_until(lambda: running.connections >= 2)
        assert count(world) == 1


def test_frames_wait_while_the_database_is_not_available(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[Any] = []
    store = intake.store_bodies

    def fail_twice(*arguments: Any) -> None:
        attempts.append(arguments)
        if len(attempts) < 3:
            raise PoolTimeoutError
        store(*arguments)

    monkeypatch.setattr(following, "store_bodies", fail_twice)

    with platform(send_five_frames) as running, followed(world, running.url):
        wait_until(lambda: count(world) == 5)
        assert running.connections == 1
    assert len(attempts) >= 3


def test_a_commit_whose_answer_is_lost_is_not_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[bool] = []
    store = intake.store_bodies

    def lose_the_first_answer(*arguments: Any) -> None:
        store(*arguments)
        if not lost:
            lost.append(True)
            raise PoolTimeoutError

    monkeypatch.setattr(following, "store_bodies", lose_the_first_answer)

    def script(platform: Platform, connection: ServerConnection, _: int) -> None:
        platform.send(connection, 0, 1)
        wait_until(lambda: lost)
        platform.send(connection, 1, 2)
        hold(platform)

    with platform(script) as running, followed(world, running.url):
        wait_until(lambda: count(world) == 2)
    assert world.count("betslip_message") == 2


def test_a_frame_that_causes_a_defect_is_left_out_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = intake.store_bodies

    def fail_on_frame_2(engine: Any, taken: Any, places: Any) -> None:
        if any(b"b2" in one.body.content for one in taken):
            raise ValueError("a defect")
        store(engine, taken, places)

    monkeypatch.setattr(following, "store_bodies", fail_on_frame_2)

    with platform(send_five_frames) as running, followed(world, running.url):
        wait_until(lambda: count(world) == 4)


class Command:
    """The command as a process that logs to a file."""

    def __init__(self, database_url: str, url: str, log_file: Path) -> None:
        command = [str(Path(sys.executable).with_name("wallet-hooks")), "betslips", "follow"]
        options = ["--brand", "acme", "--game", "betflex"]
        environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": database_url, "WALLET_HOOKS_FOLLOW_URL": url}
        with log_file.open("ab") as log:
            self.process = subprocess.Popen([*command, *options], env=environment, stdout=log, stderr=log)


def taken(log: Path) -> int:
    """Return the number of messages that commands say they have taken."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return sum(line["messages"] for line in lines if line["event"] == "betslip_frames_taken")


def has_taken_more(log: Path, number: int) -> bool:
    return taken(log) > number


@pytest.mark.slow
def test_a_killed_command_loses_nothing_that_it_took(world: World, tmp_path: Path) -> None:
    def script(platform: Platform, connection: ServerConnection, number: int) -> None:
        for first in range(number * 1000, number * 1000 + 1000):
            platform.send(connection, first, first + 1)
            if platform.stopping.wait(0.002):
                return

    url, log = world.settings.database_url, tmp_path / "follow.log"
    log.touch()
    with platform(script) as running:
        for _ in range(2):
            command = Command(url, running.url, log)
            wait_until(partial(has_taken_more, log, taken(log) + 20))
            command.process.kill()
            command.process.wait()
            assert count(world) >= taken(log)
        command = Command(url, running.url, log)
        wait_until(partial(has_taken_more, log, taken(log)))
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(10) == 0
    assert "secret" not in log.read_text()


@pytest.mark.slow
def test_the_command_ends_while_it_waits_for_a_handshake(world: World, tmp_path: Path) -> None:
    with silent_platform() as (url, connections):
        command = Command(world.settings.database_url, url, tmp_path / "follow.log")
        wait_until(lambda: connections)
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(8) == 0  # the handshake would wait for 10 seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--url", "http://x/", "--brand", "acme", "--game", "betflex"], "bad_url"),
        (["--url", "ws://x/", "--brand", "none", "--game", "betflex"], "not_found"),
        (["--url", "ws://x/", "--brand", "acme", "--game", "none"], "not_found"),
        (["--url", "ws://x/", "--brand", "acme", "--game", "betflex", "--metrics", "x"], "host:port"),
    ],
)
def test_wrong_options_are_refused(world: World, options: list[str], message: str) -> None:
    refused = Shell(world.settings.database_url).run("betslips", "follow", *options)
    assert refused.returncode in (1, 2)
    assert message in refused.stderr
