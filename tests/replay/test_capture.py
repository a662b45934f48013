"""What was received under load is recorded, redacted and played again: the same answers, the same ledger."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.replay.stages import stages_on
from tests.service import post, served
from tests.test_commands import Shell
from tests.world import World, bet, refund, result
from wallet_hooks.database import reading
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.replay.fixture import Sequence, read_cases, read_sequences
from wallet_hooks.replay.running import RunOptions, play_all, strands
from wallet_hooks.replay.stage import throw_away_stages

CUSTOMERS = 8
CALLS = 240


def traffic(seed: int) -> list[tuple[str, Any]]:
    """Bets that funds do not always cover, repeated, settled, settled again, cancelled, and now and then nonsense."""
    dice = random.Random(seed)
    calls: list[tuple[str, Any]] = []
    for _ in range(CALLS):
        uid = dice.randrange(CALLS // 4)
        user = 100 + uid % CUSTOMERS
        match dice.randrange(10):
            case 0 | 1 | 2 | 3:
                calls.append(("/bets", {"bets": [bet(uid, f"{10 + uid % 7}.00", user=user)]}))
            case 4 | 5:
                calls.append(("/winners", {"pools": [result(uid, f"{uid % 30}.00", user=str(user))]}))
            case 6:
                calls.append(("/bets/cancel", {"pools": [refund(uid, user=str(user))]}))
            case 7:
                other = uid ^ 1
                calls.append(("/bets", {"bets": [bet(uid, user=user), bet(other, user=100 + other % CUSTOMERS)]}))
            case 8:
                calls.append(("/bets", {"bets": [bet(uid, "ten", user=user)]}))
            case _:
                calls.append(("/bets", {"bets": [bet(f"x{uid}", user=9999)]}))
    return calls


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def capture(
    request: pytest.FixtureRequest, templates: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """A database that served two workers' traffic from eight threads, and what was recorded of it."""
    tmp_path = tmp_path_factory.mktemp("capture")
    url, drop = templates.copy(request.param, "migrated", tmp_path / "served.db")
    world = World(url)
    world.brand()
    world.provider()
    for number in range(CUSTOMERS):
        world.customer(str(100 + number), balance="40.00", credit_limit="5.00" if number % 3 == 0 else "0")
    with served(world.settings.database_url, tmp_path, workers=2) as (url, _), ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda call: post(url, *call), traffic(7)))
    path = tmp_path / "capture.jsonl.gz"
    told = Shell(world.settings.database_url).run("replay", "record", "-o", str(path)).stderr
    assert told.startswith(f"{world.count('delivery')} callbacks recorded")
    yield world, path
    world.close()
    drop()


def ledger_of(world: World) -> list[tuple[Any, ...]]:
    """Every house account's sums and all customers' balances, whoever they are."""
    now = datetime.now(UTC)
    with reading(world.engine) as session:
        asked = ReportRequest(date(2000, 1, 1), date(2199, 1, 1), None, now)
        batches = REPORTS["trial-balance"].batches(session, asked)
        sums = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
        query = "SELECT balance, version FROM ledger_account WHERE holder_id IS NOT NULL ORDER BY 1, 2"
        return [*sums, *map(tuple, session.execute(text(query)))]


def test_captured_traffic_replays_to_the_same_ledger(capture: tuple[World, Path], tmp_path: Path) -> None:
    world, path = capture
    redacted = tmp_path / "redacted.jsonl"
    Shell(world.settings.database_url).ok("replay", "redact", str(path), "-o", str(redacted))
    with throw_away_stages() as stages, stages() as stage:

        def the_stage() -> Any:
            return stages()

        results = list(play_all(read_sequences([redacted]), the_stage, RunOptions()))
        assert [(played.case.where, played.mismatches) for played in results if not played.passed] == []
        assert len(results) == world.count("delivery")
        again = World(stage.settings.database_url)
        assert ledger_of(again) == ledger_of(world)
        again.close()
    statuses = {played.case.expect["status"] for played in results}
    assert {200, 400, 402, 404, 409} <= statuses


def test_the_order_of_customers_does_not_matter_and_that_of_a_customer_does(capture: tuple[World, Path]) -> None:
    _, path = capture
    cases = list(read_cases(path))
    groups = strands(cases)
    assert sum(map(len, groups)) == len(cases)
    assert len(groups) >= CUSTOMERS // 2
    with throw_away_stages() as stages:
        shuffled = list(play_all(read_sequences([path]), stages, RunOptions(shuffle=3, second_pass=False)))
        assert all(played.passed for played in shuffled)
        assert [played.case.line for played in shuffled] != [case.line for case in cases]
        backwards = [Sequence(path, [case._replace(document={**case.document}) for case in reversed(cases)])]
        assert not all(played.passed for played in play_all(backwards, stages, RunOptions(second_pass=False)))


def test_customers_at_once_come_to_the_same(capture: tuple[World, Path]) -> None:
    _, path = capture
    options = RunOptions(recorded_clock=False, parallel=4)
    with throw_away_stages() as stages:
        results = list(play_all(read_sequences([path]), stages, options))
    assert [(played.case.where, played.mismatches) for played in results if not played.passed] == []


def test_a_capture_of_either_plays_on_postgresql(capture: tuple[World, Path], templates: Any, tmp_path: Path) -> None:
    _, path = capture
    url, drop = templates.copy("postgresql", "migrated", tmp_path / "other.db")
    with stages_on(url) as stages:
        results = list(play_all(read_sequences([path]), stages, RunOptions()))
    drop()
    assert [(played.case.where, played.mismatches) for played in results if not played.passed] == []


def test_what_is_recorded_can_be_chosen(world: World, tmp_path: Path) -> None:
    world.place(bet(1))
    world.place(bet(2, "500.00"))
    world.settle(result(1))
    shell = Shell(world.settings.database_url)

    def recorded(*options: str) -> list[str]:
        path = tmp_path / "some.jsonl"
        assert shell.run("replay", "record", *options, "-o", str(path)).returncode == 0
        return [f"{case.request['path']} {case.expect['status']}" for case in read_cases(path)]

    assert recorded() == ["/bets 200", "/bets 402", "/winners 200"]
    assert recorded("--bet", "1") == ["/bets 200", "/winners 200"]
    assert recorded("--bet", "betflex:acme:2") == ["/bets 402"]
    assert recorded("--status", "402") == ["/bets 402"]
    assert recorded("--from", "2020-01-01T00:00:00Z", "--to", "2199-01-01T00:00:00Z") == recorded()
    nothing = shell.run("replay", "record", "--to", "2020-01-01", "-o", str(tmp_path / "none.jsonl"))
    assert nothing.returncode == 5
    assert shell.run("replay", "record", "--to", "soon", "-o", str(tmp_path / "none.jsonl")).returncode == 2
    assert shell.run("replay", "record", "-o", str(tmp_path / "none.txt")).returncode == 2


def test_what_is_about_bets_of_before_is_left_out_and_counted(world: World, tmp_path: Path) -> None:
    world.place(bet(1))
    moment = datetime.now(UTC).isoformat()
    world.place(bet(2))
    world.settle(result(1))
    path = tmp_path / "capture.jsonl"
    ran = Shell(world.settings.database_url).run("replay", "record", "--from", moment, "-o", str(path))
    assert ran.stderr.strip().endswith("1 left out, forbidden or about bets taken before")
    (case,) = read_cases(path)
    assert case.given["customers"][0]["balance"] == "90.00"


def test_bodies_that_json_would_change_are_kept_to_the_byte(world: World, tmp_path: Path) -> None:
    bodies = [
        json.dumps({"bets": [bet(1)]}).replace('"10.00"', "10.00").encode(),
        b"not json",
        json.dumps({"bets": [bet(2)]}).replace('"uid": 2', '"uid": 2, "uid": 2').encode(),
        b"null",
        b"\xff\xfe",
        json.dumps({"pools": [result(1)]}).replace('"Ann"', '"\\ud800"').encode(),
        b"@/etc/passwd",
        b"",
    ]
    for body in bodies:
        world.post("/bets", body)
    path = tmp_path / "capture.jsonl"
    Shell(world.settings.database_url).ok("replay", "record", "-o", str(path))
    assert [case.document["request"].get("body") for case in read_cases(path)] == [None] * len(bodies)
    with throw_away_stages() as stages:
        results = list(play_all(read_sequences([path]), stages, RunOptions()))
    assert [(played.case.where, played.mismatches) for played in results if not played.passed] == []
