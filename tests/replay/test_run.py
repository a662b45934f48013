"""The commands of `wallet-hooks replay`: exit statuses, messages and files."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import pytest
from freezegun import freeze_time
from werkzeug.serving import make_server

from tests.replay.test_catalogue import CATALOGUE
from tests.replay.test_fixture import CASE, changed
from tests.service import served
from tests.test_commands import Ran, Shell
from tests.waiting import wait_until
from tests.world import World, bet, result
from wallet_hooks import clock
from wallet_hooks.replay.fixture import read_cases, write_cases
from wallet_hooks.settings import ConfigurationError, Settings

SHELL = Shell("sqlite:///unused.db")
WRONG = changed("expect", "balances", "7:EUR", to="90.01")


def run(*arguments: Any) -> Ran:
    return SHELL.run("replay", "run", *map(str, arguments))


@pytest.fixture
def case(tmp_path: Path) -> Path:
    path = tmp_path / "a-case.json"
    write_cases(path, [CASE])
    return path


def test_exit_status_0_without_and_1_with_differences(case: Path) -> None:
    ran = run(case)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "1 cases: 1 passed, 0 failed\n", "")
    write_cases(case, [WRONG])
    assert run(case).returncode == 1


def test_exit_status_5_for_no_cases_and_2_for_bad_usage(case: Path) -> None:
    assert run(case, "--filter", "tag=nobody").returncode == 5
    for wrong in (["--filter", "colour=red"], ["--filter", "tag"], ["--parallel", "2"], ["--duplicate", "0"],
                  ["--target", "http://127.0.0.1:1", "--in-process"], ["--sign", "hmac=env:X"], ["--speed", "2x"],
                  ["--filter", "from=soon"], ["--junit", "/nowhere/x.xml"], ["--sign", "hmac", "--target", "http://x"],
                  ["--parallel", "2", "--clock", "now", "--speed", "1x"]):  # fmt: skip
        assert run(case, *wrong).returncode == 2, wrong
    assert run(case.with_name("none.json")).returncode == 2
    (case.parent / "empty").mkdir()
    assert run(case.parent / "empty").returncode == 5


def test_exit_status_3_for_an_unreachable_database(case: Path) -> None:
    ran = run(case, "--database", f"postgresql://postgres@/none?host={case.parent}")
    assert (ran.returncode, ran.stderr.startswith("wallet-hooks: unreachable")) == (3, True), ran.stderr


def test_exit_status_3_for_an_unreachable_target(case: Path) -> None:
    junit = case.with_name("out.xml")
    ran = run(case, "--target", "http://127.0.0.1:9", "--junit", junit)
    assert (ran.returncode, ran.stderr.startswith("wallet-hooks: unreachable")) == (3, True)
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "1")
    assert ran.stdout.endswith("; the run ended early\n")
    for target in ("ftp://x", "nonsense", "http://", "http://[bad", "http://x:99999"):
        assert run(case, "--target", target).returncode == 2, target


def test_a_failed_case_shows_line_difference_and_curl_command(case: Path) -> None:
    write_cases(case, [WRONG | {"description": "Ann bets ten."}])
    lines = run(case).stdout.splitlines()
    assert lines[0] == f"FAILED a-case  {case}:1"
    assert lines[1].strip() == "Ann bets ten."
    assert lines[2:7] == ["  balances", "      {", '    -   "7:EUR": "90.01"', '    +   "7:EUR": "90.00"', "      }"]
    assert lines[7].startswith("  curl -i -X POST http://127.0.0.1:8000/bets -H 'Content-Type: application/json'")


@pytest.mark.served
def test_the_curl_command_sends_the_exact_bytes(tmp_path: Path, world: World) -> None:
    """The shell passes the bytes of hostile bodies unchanged."""
    with served(world.settings.database_url, tmp_path) as (url, _):
        for name in ("hostile/quotes-in-id", "hostile/not-utf-8", "hostile/nul-in-id", "placing/ids-in-unicode"):
            (case,) = read_cases(CATALOGUE / f"{name}.json")
            command = SHELL.ok("replay", "convert", "--to", "curl", "--target", url, str(case.path))
            answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
            assert answer.startswith(f"HTTP/1.1 {case.expect['status']} "), (command, answer)
            assert json.loads(answer.splitlines()[-1]) == case.expect["body"]


def test_junit_json_and_html_reports(case: Path, tmp_path: Path) -> None:
    write_cases(tmp_path / "bad.jsonl", [CASE, changed("name", to="b"), WRONG | {"name": "<script>"[1:-1]}])
    junit, js, html = (tmp_path / f"out.{suffix}" for suffix in ("xml", "js", "html"))
    ran = run(tmp_path / "bad.jsonl", "--junit", junit, "--json", js, "--html", html)
    assert ran.returncode == 1
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", str(len(suite.findall("testcase/failure"))))
    report = json.loads(js.read_text())
    assert (report["total"], report["passed"] + report["failed"]) == (3, 3)
    assert {one["name"]: one["passed"] for one in report["cases"]}["script"] is False
    page = html.read_text()
    assert "failed</span></h1>" in page
    assert not re.search(r"(src|href)=", page), "the page loads nothing from elsewhere"
    assert page.count("<details") == 3


def test_a_report_that_cannot_be_written_is_status_2_after_the_summary(case: Path) -> None:
    ran = run(case, "--json", "/dev/full")
    assert (ran.returncode, ran.stderr) == (2, "wallet-hooks: report: No space left on device\n")
    assert ran.stdout == "1 cases: 1 passed, 0 failed\n"


def test_control_characters_of_a_case_do_not_reach_the_terminal(case: Path) -> None:
    write_cases(case, [WRONG | {"description": "a\x1b[2Jb"}])
    assert "  a\ufffd[2Jb\n" in run(case).stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_process(tmp_path: Path, number: int) -> None:
    """As Ctrl-C does, SIGINT reaches all processes of the group."""
    capture = tmp_path / "long.jsonl"
    write_cases(capture, [changed("name", to=str(place)) for place in range(5000)])
    # Programs that a shell runs in the background ignore SIGINT, and so do those that they start.
    program = ["env", "--default-signal=INT", str(Path(sys.executable).with_name("wallet-hooks"))]
    command = [*program, "replay", "run", str(capture)]
    (temporary := tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    with (tmp_path / "output").open("wb") as output:
        ran = subprocess.Popen(command, start_new_session=True, stdout=output, stderr=output, env=environment)
        wait_until(lambda: len(descendants(ran.pid)) >= 2)
        children = descendants(ran.pid)
        (os.killpg if number == signal.SIGINT else os.kill)(ran.pid, number)
        assert ran.wait(120) != 0
    wait_until(lambda: not any(map(is_running, children)))
    said = (tmp_path / "output").read_text()
    if number != signal.SIGKILL:
        assert list(temporary.iterdir()) == []
        assert "; the run ended early" in said
        assert "Traceback" not in said


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one that has may be left in the table of a container without an init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [*found, *(grandchild for child in found for grandchild in descendants(child))]


def test_markup_in_a_case_is_escaped_in_the_page(tmp_path: Path, case: Path) -> None:
    evil = changed("expect", "body", to={"status": "<img src=x onerror=alert(1)>"})
    write_cases(case, [evil])
    html = tmp_path / "out.html"
    run(case, "--html", html)
    assert "<img" not in html.read_text()


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_cases(tmp_path / f"{name}.json", [WRONG | {"name": name}])
    assert run(tmp_path, "--fail-fast").stdout.count("FAILED") == 1
    assert run(tmp_path).stdout.count("FAILED") == 3


@pytest.mark.parametrize("text", ["status=abc", "status=", "from=foo", "colour=red", "path"])
def test_a_filter_that_can_select_nothing_is_wrong_usage(case: Path, text: str) -> None:
    ran = run(case, "--filter", text)
    assert (ran.returncode, ran.stdout) == (2, "")


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["path=/winners"], {"w"}),
        (["bet=9"], {"a-case"}),
        (["tag=slow"], {"slow"}),
        (["status=404"], {"w"}),
        (["from=2026-11-21T00:00:00Z"], {"slow"}),
        (["to=2026-11-21T00:00:00Z", "path=/bets"], {"a-case"}),
    ],
)
def test_filters_select_cases(tmp_path: Path, filters: list[str], names: set[str]) -> None:
    documents = [
        CASE,
        changed("request", "body", "bets", 0, "bet", "uid", to=10)
        | {"name": "slow", "tags": ["slow"], "at": "2026-11-22T00:00:00Z"},
        changed("request", to={"path": "/winners", "body": {"pools": [result(77)]}})
        | {"name": "w", "expect": {"status": 404}},
    ]
    for document in documents:
        write_cases(tmp_path / f"{document['name']}.json", [document])
    options = [word for text in filters for word in ("--filter", text)]
    out = tmp_path / "out.txt"
    assert run(tmp_path, *options, "--json", out).returncode == 0
    assert {one["name"] for one in json.loads(out.read_text())["cases"]} == names
    listed = SHELL.ok("replay", "list", str(tmp_path), *options, "--json")
    assert {json.loads(line)["name"] for line in listed.splitlines()} == names


def test_a_change_by_repeated_requests_is_a_difference(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that does not recognise known bets fails with `--duplicate`, and in the second pass."""
    from wallet_hooks.sportsbook import placing  # noqa: PLC0415

    again = {"count": 0}

    def treat_as_conflict(bet: Any, wager: Any) -> str:
        again["count"] += 1
        return "conflict"

    monkeypatch.setattr(placing, "_known_before", treat_as_conflict)
    assert "status (time 2)" in run(case, "--duplicate", "2").stdout
    assert again["count"] == 3  # once in the repetition, and twice in the second pass


def test_ledger_invariants_are_checked_after_each_case(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wallet_hooks.replay.case_database import CaseDatabase  # noqa: PLC0415

    monkeypatch.setattr(CaseDatabase, "ledger_violations", lambda _: ["entries sum to zero: transaction 1: sum 5 EUR"])
    ran = run(case)
    assert ran.returncode == 1
    assert "entries sum to zero" in ran.stdout
    states = iter("ab")
    monkeypatch.setattr(CaseDatabase, "ledger_violations", lambda _: [])
    monkeypatch.setattr(CaseDatabase, "state", lambda _: next(states))
    assert "second pass" in run(case).stdout


def test_invalid_preconditions_fail_their_case(case: Path) -> None:
    write_cases(case, [changed("given", "customers", 0, "currency", to="EURO")])
    ran = run(case)
    assert ran.returncode == 1
    assert "unknown currency" in ran.stdout


def test_accept_writes_the_actual_answers(case: Path) -> None:
    write_cases(case, [changed("expect", to={"status": 500, "body": {}, "balances": {"7:EUR": "0.00"}})])
    assert "1 cases changed" in SHELL.run("replay", "accept", str(case)).stderr
    (accepted,) = read_cases(case)
    assert accepted.expect == CASE["expect"]
    assert run(case).returncode == 0


def test_show_diff_and_convert(case: Path, tmp_path: Path) -> None:
    shown = SHELL.ok("replay", "show", str(case))
    assert shown.startswith(f"{case}:1\n")
    assert "curl -i" in shown
    other = tmp_path / "other.json"
    write_cases(other, [WRONG])
    assert SHELL.run("replay", "diff", str(case), str(case)).returncode == 0
    ran = SHELL.run("replay", "diff", str(case), str(other))
    assert ran.returncode == 1
    assert '+      "7:EUR": "90.01"' in ran.stdout
    har = json.loads(SHELL.ok("replay", "convert", "--to", "har", str(CATALOGUE)))
    assert har["log"]["version"] == "1.2"
    assert len(har["log"]["entries"]) == len(list(CATALOGUE.rglob("*.json")))
    entry = har["log"]["entries"][0]
    assert entry["request"]["url"].startswith("http://127.0.0.1:8000/")


@pytest.mark.served
def test_cases_run_against_a_service_with_and_without_its_database(empty_world: World, tmp_path: Path) -> None:
    """Over HTTP with the test clock of the service on; without --database only answers are compared."""
    url = empty_world.settings.database_url
    late = "limits/day-limit-at-midnight"
    with served(url, tmp_path, WALLET_HOOKS_DEBUG="true", WALLET_HOOKS_TEST_CLOCK="true") as (target, _):
        ran = run(CATALOGUE / f"{late}.json", "--target", target, "--database", url, "--clock", "recorded")
        assert ran.returncode == 0, ran.stdout
        without_database = run(
            CATALOGUE / f"{late}.json", "--target", target, "--clock", "recorded", "--duplicate", "2"
        )
        assert "were not checked" in without_database.stdout
        assert run(CATALOGUE, "--target", target, "--database", url).returncode == 2, "each case needs its own database"
    assert empty_world.wager(2)["placed_at"].startswith("2026-11-21T00:00:00")


def test_the_clock_cannot_be_set_without_the_test_clock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_server("127.0.0.1", 0, world.app)
    Thread(target=app.serve_forever, daemon=True).start()
    target = f"http://127.0.0.1:{app.server_port}"
    ran = run(CATALOGUE / "limits/day-limit-at-midnight.json", "--target", target, "--clock", "recorded")
    app.shutdown()
    app.server_close()
    assert (ran.returncode, "without a test clock" in ran.stderr) == (2, True)
    with freeze_time("2026-11-20T12:00:00Z"):
        world.post("/bets", {"bets": [bet(77)]}, headers={"X-Test-Clock": "2020-01-01T00:00:00Z"})
        assert world.wager(77)["placed_at"].startswith("2026-11-20T12:00:00")
    monkeypatch.setenv("WALLET_HOOKS_TEST_CLOCK", "true")
    with pytest.raises(ConfigurationError, match="WALLET_HOOKS_DEBUG"):
        Settings.from_env()


def test_preconditions_never_change_existing_data(world: World, monkeypatch: pytest.MonkeyPatch, case: Path) -> None:
    """Providers keep authentication and allow-list, rates their values, customers their balances and limits."""
    monkeypatch.setenv("ACME_SECRET", "a secret of forty characters, or nearly so")
    world.provider(auth="hmac", secrets=("env:ACME_SECRET",), allow=("127.0.0.0/8",))
    shell = Shell(world.settings.database_url)
    shell.ok("rate", "set", "GBP", "EUR", "1.20")
    providers = shell.ok("provider", "list")
    document = changed("given", "rates", to=[{"source": "GBP", "target": "EUR", "rate": "9"}])
    document["given"]["customers"][0]["balance"] = "1.00"
    document["given"]["limits"] = [{"uid": 7, "type": "bet", "frame": "day", "amount": "1.00"}]
    write_cases(case, [document])
    ran = run(case, "--database", world.settings.database_url)
    assert ran.returncode == 0, ran.stdout  # signed with the configured secret; the balance stayed 100.00
    assert shell.ok("provider", "list") == providers
    assert world.count("exchange_rate") == 1
    assert world.count("player_limit") == 0


def test_a_filter_keeps_the_preconditions_of_skipped_cases(tmp_path: Path) -> None:
    later = {
        key: value
        for key, value in changed("request", "body", "bets", 0, "bet", "uid", to=10).items()
        if key != "given"
    }
    later |= {"name": "later", "expect": {"status": 200}}
    capture = tmp_path / "capture.jsonl"
    write_cases(capture, [CASE, later])
    assert run(capture, "--filter", "bet=10").returncode == 0


def test_a_filter_keeps_the_requests_among_the_preconditions_of_skipped_cases(tmp_path: Path) -> None:
    first = changed("request", "path", to="/nothing") | {"name": "first", "expect": {"status": 404}}
    first["given"] = {**CASE["given"], "requests": [CASE["request"]]}
    settled = {"v": 1, "name": "settled", "request": {"path": "/winners", "body": {"pools": [result(9)]}}}
    settled |= {"expect": {"status": 200}, "tags": ["x"], "source": "capture"}
    capture = tmp_path / "capture.jsonl"
    write_cases(capture, [first, settled])
    assert run(capture, "--filter", "path=/winners").stdout == "1 cases: 1 passed, 0 failed\n"


def test_a_customer_may_begin_with_a_debt(case: Path) -> None:
    document = changed(
        "expect", to={"status": 402, "body": {"error": "credit_limit_exceeded"}, "balances": {"7:EUR": "-95.00"}}
    )
    document["given"]["customers"][0] |= {"balance": "-95.00", "credit_limit": "100.00"}
    write_cases(case, [document])
    assert run(case).returncode == 0


@pytest.mark.parametrize("value", [{"preset": "zz"}, {"timezone": "Nowhere/Land"}, {"currency": "EURO"}])
def test_an_invalid_brand_fails_its_case_and_is_not_accepted(case: Path, value: dict[str, str]) -> None:
    write_cases(case, [changed("given", "brands", to=[{"client": "acme", **value}])])
    assert run(case).returncode == 1
    before = case.read_text()
    assert SHELL.run("replay", "accept", str(case)).returncode == 1
    assert case.read_text() == before


def test_a_curl_command_never_sends_a_local_file(case: Path) -> None:
    encoded = base64.b64encode(b"@/etc/hostname").decode()
    write_cases(case, [changed("request", to={"path": "/bets", "body_b64": encoded})])
    command = SHELL.ok("replay", "convert", "--to", "curl", str(case))
    assert "--data-raw @/etc/hostname" in command


def test_diff_refuses_duplicate_names(tmp_path: Path) -> None:
    capture = tmp_path / "capture.jsonl"
    write_cases(capture, [CASE, WRONG])
    assert SHELL.run("replay", "diff", str(capture), str(capture)).returncode == 2


def test_the_clock_is_reset_after_a_run(case: Path) -> None:
    run(case)
    assert abs((clock.now() - clock.wall_clock()).total_seconds()) < 60


@pytest.mark.real_schema
def test_a_run_needs_no_database_configured() -> None:
    ran = SHELL.run("replay", "run", str(CATALOGUE / "documented"), "--speed", "10x", "--shuffle", "1")
    assert (ran.returncode, ran.stdout) == (0, "3 cases: 3 passed, 0 failed\n")
