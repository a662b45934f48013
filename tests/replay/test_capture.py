"""A capture recorded under load, redacted or not, replays to the same answers and the same ledger."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import pytest
from sqlalchemy import event, select, text

from tests.replay.case_databases import database_factory_on
from tests.replay.test_fixture import CASE
from tests.service import post, served
from tests.test_commands import Shell
from tests.world import World, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.database import reading, writing
from wallet_hooks.database.pipelines import _PipelineUse
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.replay import processes
from wallet_hooks.replay.case_database import temporary_database_factory
from wallet_hooks.replay.fixture import CaseSequence, read_cases, read_sequences, write_cases
from wallet_hooks.replay.groups import independent_groups, split
from wallet_hooks.replay.processes import run_in_processes
from wallet_hooks.replay.recording import CaptureFilter, Recorder
from wallet_hooks.replay.running import RunOptions, run_sequences, run_without_database
from wallet_hooks.replay.targets import TargetRequest, TargetResponse
from wallet_hooks.web.countries import Countries

CUSTOMERS = 8
CALLS = 240


def traffic(seed: int) -> list[tuple[str, Any]]:
    """Return random bets (some without funds), repetitions, settlements, resettlements, cancels and invalid bets."""
    rng = random.Random(seed)
    calls: list[tuple[str, Any]] = []
    for _ in range(CALLS):
        uid = rng.randrange(CALLS // 4)
        user = 100 + uid % CUSTOMERS
        match rng.randrange(10):
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
    """A database that two workers wrote to under traffic of eight threads, and the capture of it."""
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
    message = Shell(world.settings.database_url).run("replay", "record", "-o", str(path)).stderr
    assert message.startswith(f"{world.count('delivery')} callbacks recorded")
    yield world, path
    world.close()
    drop()


def ledger_of(world: World) -> list[tuple[Any, ...]]:
    """Return the trial balance and all customer balances, without customer ids, which a redacted capture replaces."""
    now = datetime.now(UTC)
    with reading(world.engine) as session:
        request = ReportRequest(date(2000, 1, 1), date(2199, 1, 1), None, now)
        batches = REPORTS["trial-balance"].batches(session, request)
        sums = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
        query = "SELECT balance, version FROM ledger_account WHERE holder_id IS NOT NULL ORDER BY 1, 2"
        return [*sums, *map(tuple, session.execute(text(query)))]


@pytest.mark.served
def test_captured_traffic_replays_to_the_same_ledger(capture: tuple[World, Path], tmp_path: Path) -> None:
    world, path = capture
    redacted = tmp_path / "redacted.jsonl"
    Shell(world.settings.database_url).ok("replay", "redact", str(path), "-o", str(redacted))
    with temporary_database_factory() as new_database, new_database() as database:

        def same_database() -> Any:
            return new_database()

        results = list(run_sequences(read_sequences([redacted]), same_database, RunOptions()))
        assert [
            (case_result.case.where, case_result.mismatches) for case_result in results if not case_result.passed
        ] == []
        assert len(results) == world.count("delivery")
        again = World(database.settings.database_url)
        assert ledger_of(again) == ledger_of(world)
        again.close()
    statuses = {case_result.case.expect["status"] for case_result in results}
    assert {200, 400, 402, 404, 409} <= statuses


@pytest.mark.served
def test_customers_may_be_interleaved_but_the_order_within_a_customer_matters(capture: tuple[World, Path]) -> None:
    _, path = capture
    cases = list(read_cases(path))
    groups = independent_groups(cases)
    assert sum(map(len, groups)) == len(cases)
    assert len(groups) >= CUSTOMERS // 2
    with temporary_database_factory() as new_database:
        shuffled = list(run_sequences(read_sequences([path]), new_database, RunOptions(shuffle=3, second_pass=False)))
        assert all(case_result.passed for case_result in shuffled)
        assert [case_result.case.line for case_result in shuffled] != [case.line for case in cases]
        reversed_ = [CaseSequence(path, [case._replace(document={**case.document}) for case in reversed(cases)])]
        assert not all(
            case_result.passed for case_result in run_sequences(reversed_, new_database, RunOptions(second_pass=False))
        )


@pytest.mark.served
def test_customers_may_run_in_parallel(capture: tuple[World, Path]) -> None:
    _, path = capture
    options = RunOptions(recorded_clock=False, parallel=4)
    with temporary_database_factory() as new_database:
        results = list(run_sequences(read_sequences([path]), new_database, options))
    assert [(case_result.case.where, case_result.mismatches) for case_result in results if not case_result.passed] == []


UNREPORTABLE = '{"error": "\\ud800", "number": NaN}'


class SlowTarget:
    """Answers each request after a moment, and counts them."""

    address = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.paths: list[str] = []

    def send(self, sent: TargetRequest) -> TargetResponse:
        self.paths.append(sent.path)
        time.sleep(0.01)
        return TargetResponse(500, UNREPORTABLE)


def some_cases(path: Path, count: int) -> list[CaseSequence]:
    documents = [
        {**CASE, "name": f"c{number}", "request": {"path": f"/p{number}"}, "given": {}} for number in range(count)
    ]
    write_cases(path, documents)
    return list(read_sequences([path]))


def test_a_parallel_run_that_is_ended_sends_no_more(tmp_path: Path) -> None:
    target, options = SlowTarget(), RunOptions(recorded_clock=False, parallel=4)
    running = run_without_database(some_cases(tmp_path / "c.jsonl", 400), options, target)
    assert next(running).actual["body"] == UNREPORTABLE, "as text"
    cast("Any", running).close()
    sent = len(target.paths)
    time.sleep(0.1)
    assert len(target.paths) == sent < 400


def test_cases_are_shuffled_without_a_database_too(tmp_path: Path) -> None:
    for number in range(8):
        some_cases(tmp_path / f"{number}.jsonl", 1)
        write_cases(tmp_path / f"{number}.json", [{**CASE, "request": {"path": f"/p{number}"}, "given": {}}])
        (tmp_path / f"{number}.jsonl").unlink()
    target = SlowTarget()
    options = RunOptions(recorded_clock=False, shuffle=7)
    assert len(list(run_without_database(read_sequences([tmp_path]), options, target))) == 8
    assert target.paths != sorted(target.paths)


@pytest.mark.served
def test_a_capture_runs_in_several_processes_in_parts_that_share_no_customer(
    capture: tuple[World, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = capture
    monkeypatch.setattr(processes, "CASES_PER_PART", 30)
    (whole,) = read_sequences([path])
    parts = split(whole, 30)
    assert len(parts) > 2
    results = list(run_in_processes([whole], RunOptions(), processes=2))
    assert [(one.case.where, one.mismatches) for one in results if not one.passed] == []
    assert sorted(one.case.line for one in results) == [case.line for case in whole.cases]

    wrong = whole.cases[-1]
    whole.cases[-1] = wrong._replace(document=wrong.document | {"expect": {"status": 418}})
    results = list(run_in_processes([whole], RunOptions(), processes=2))
    assert [one.case.line for one in results if not one.passed] == [wrong.line]


@pytest.mark.served
def test_a_capture_of_either_engine_runs_on_postgresql(
    capture: tuple[World, Path], templates: Any, tmp_path: Path
) -> None:
    _, path = capture
    url, drop = templates.copy("postgresql", "migrated", tmp_path / "other.db")
    with database_factory_on(url) as new_database:
        results = list(run_sequences(read_sequences([path]), new_database, RunOptions()))
    drop()
    assert [(case_result.case.where, case_result.mismatches) for case_result in results if not case_result.passed] == []


def test_record_filters_by_bet_status_and_time(world: World, tmp_path: Path) -> None:
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
    kept = (tmp_path / "some.jsonl").read_bytes()
    nothing = shell.run("replay", "record", "--to", "2020-01-01", "-o", str(tmp_path / "some.jsonl"))
    assert (nothing.returncode, (tmp_path / "some.jsonl").read_bytes()) == (5, kept)
    assert shell.run("replay", "redact", str(tmp_path / "some.jsonl"), "-o", str(tmp_path / "x.json")).returncode == 2
    assert shell.run("replay", "record", "--to", "soon", "-o", str(tmp_path / "none.jsonl")).returncode == 2
    assert shell.run("replay", "record", "-o", str(tmp_path / "none.txt")).returncode == 2


def test_a_bet_that_was_decided_after_the_beginning_is_in_the_opening_balance(world: World, tmp_path: Path) -> None:
    """It had been received before, so that it is in no line of the capture."""
    began = clock.now()
    assert world.place(bet(1, "100.00")).status == 200
    assert world.place(bet(2, "50.00")).status == 402
    with writing(world.engine) as session:
        for path_number, received_at in enumerate((began - timedelta(seconds=1), began + timedelta(microseconds=1))):
            found = session.scalars(select(Delivery).order_by(Delivery.id)).all()[path_number]
            found.received_at, found.duration_us = received_at, 10_000_000
    path = tmp_path / "capture.jsonl"
    shell = Shell(world.settings.database_url)
    shell.ok("replay", "record", "--from", began.isoformat(), "-o", str(path))
    (case,) = read_cases(path)
    assert case.given["customers"][0]["balance"] == "0.00"
    shell.ok("replay", "run", str(path))


def test_callbacks_about_bets_placed_before_the_capture_are_left_out_and_counted(world: World, tmp_path: Path) -> None:
    world.customer("8")
    world.place(bet(1))
    moment = datetime.now(UTC).isoformat()
    world.place(bet(2), bet(3, user=8))
    world.settle(result(1))
    path = tmp_path / "capture.jsonl"
    ran = Shell(world.settings.database_url).run("replay", "record", "--from", moment, "-o", str(path))
    assert ran.stderr.strip().endswith(
        "1 left out (answered 403, or about bets placed before the capture, or by callbacks that it lacks); "
        "1 customers also had other transactions, which are not in the capture"
    )
    (case,) = read_cases(path)
    assert case.given["customers"][0]["balance"] == "90.00"


def test_limits_that_a_capture_cannot_repeat_are_counted(world: World, tmp_path: Path) -> None:
    shell, path = Shell(world.settings.database_url), tmp_path / "capture.jsonl"
    of_ann = ["--brand", "acme", "--uid", "7", "--type", "bet", "--frame", "day"]
    shell.ok("limit", "set", *of_ann, "--amount", "50", "--reason", "x")
    world.place(bet(1))
    moment = datetime.now(UTC).isoformat()
    world.place(bet(2))
    ran = shell.run("replay", "record", "--from", moment, "-o", str(path))
    assert ran.stderr.strip().endswith("; 1 customers had bets before, which count for their limits")
    shell.ok("limit", "set", *of_ann, "--amount", "15", "--reason", "x")
    world.place(bet(3))
    ran = shell.run("replay", "record", "-o", str(path))
    assert ran.stderr.strip().endswith("; 1 customers' limits changed meanwhile; the capture has the last ones")


def test_an_unauthenticated_callback_that_is_not_stored_whole_is_left_out(world: World, tmp_path: Path) -> None:
    world.provider(auth="hmac", secrets=["env:NOWHERE"])
    for uid in (1, "2" * 60):
        world.post("/bets", {"bets": [bet(uid)] * (1 if uid == 1 else 60)})
    path = tmp_path / "capture.jsonl"
    ran = Shell(world.settings.database_url).run("replay", "record", "-o", str(path))
    assert ran.stderr.strip().endswith("; 1 left out (answered 401, and not stored whole)")
    world.post("/bets", b"[" * 5000)
    ran = Shell(world.settings.database_url).run("replay", "record", "-o", str(path))
    assert ran.stderr.strip().endswith("; 2 left out (answered 401, and not stored whole)")
    assert [case.expect["status"] for case in read_cases(path)] == [401]


def test_bodies_that_json_would_change_are_recorded_as_bytes(world: World, tmp_path: Path) -> None:
    bodies = [
        json.dumps({"bets": [bet(1)]}).replace('"10.00"', "10.00").encode(),
        json.dumps({"bets": [bet(1)]}).replace('"10.00"', "-0").encode(),
        b"not json",
        json.dumps({"bets": [bet(2)]}).replace('"uid": 2', '"uid": 2, "uid": 2').encode(),
        b"null",
        b"\xff\xfe",
        json.dumps({"pools": [result(1)]}).replace('"Ann"', '"\\ud800"').encode(),
        b"@/etc/passwd",
        b"",
        *(b"[" * depth + b"]" * depth for depth in (33, 960, 975, 976, 977, 978, 990)),
    ]
    for body in bodies:
        world.post("/bets", body)
    path = tmp_path / "capture.jsonl"
    Shell(world.settings.database_url).ok("replay", "record", "-o", str(path))
    assert [case.document["request"].get("body") for case in read_cases(path)] == [None] * len(bodies)
    with temporary_database_factory() as new_database:
        results = list(run_sequences(read_sequences([path]), new_database, RunOptions()))
    assert [(case_result.case.where, case_result.mismatches) for case_result in results if not case_result.passed] == []


def test_the_number_of_statements_does_not_depend_on_the_customers(world: World) -> None:
    def record() -> tuple[int, int]:
        sent = []
        with (
            reading(world.engine) as session,
            patch.object(_PipelineUse, "_send", autospec=True, side_effect=_PipelineUse._send) as send,
        ):
            event.listen(world.engine, "before_cursor_execute", listener := lambda *_: sent.append(1))
            lines = list(Recorder(session, CaptureFilter(), Countries(None)).lines())
            event.remove(world.engine, "before_cursor_execute", listener)
        return len(sent) + send.call_count, len(lines)

    counts = []
    for customers in (range(1000, 1002), range(1002, 1040)):
        for number in customers:
            world.customer(str(number), balance="40.00")
            world.post("/bets", {"bets": [bet(f"bet-{number}", user=number)]})
        counts.append(record())
    (few, two), (many, forty) = counts
    assert (two, forty) == (2, 40)
    assert few == many


def test_a_time_whose_year_is_out_of_range_is_refused(world: World, tmp_path: Path) -> None:
    options = ["-o", str(tmp_path / "capture.jsonl"), "--from", "0001-01-01T00:00:00+14:00"]
    ran = Shell(world.settings.database_url).run("replay", "record", *options)
    assert (ran.returncode, "an ISO 8601 time" in ran.stderr) == (2, True), ran.stderr
