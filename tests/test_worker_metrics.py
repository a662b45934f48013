"""Metrics of several workers stay correct when workers are killed or files are unreadable."""

import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from tests.service import post, served, workers_of
from tests.waiting import wait_until
from tests.world import OK, World, bet
from wallet_hooks import worker_metrics
from wallet_hooks.worker_metrics import claim, collect, merge_ended, remove_abandoned

TAKEN = re.compile(r'wallet_hooks_callbacks_total\{path="/bets",status="200"\} (\S+)')
CASES = Path(__file__).parent / "fixtures" / "callbacks" / "settling"
ENDED, ALSO_ENDED, RUNNING = 2**22 + 1, 2**22 + 2, os.getpid()  # process ids on Linux are below 2**22


class Reports:
    """The reported reasons by file name."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    def __call__(self, path: Path, reason: str) -> None:
        self.by_name[path.name] = reason


@pytest.fixture
def reports() -> Reports:
    return Reports()


def write(directory: Path, kind: str, pid: int, **values: float) -> Path:
    """Write the metric file of a process with these values."""
    file = directory / f"{kind}_{pid}.db"
    measured = MmapedDict(str(file))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        key = mmap_key(name, name, [], [], "help")
        if kind == "histogram":
            key = mmap_key("seconds", "seconds_bucket", ["le"], [name.partition("_le_")[2]], "help")
        measured.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    measured.close()  # type: ignore[no-untyped-call]
    return file


def samples(directory: Path, reports: Reports) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for metric in collect(directory, reports)
        for sample in metric.samples
    }


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("*.db"))


def test_files_of_ended_processes_are_merged_by_kind(tmp_path: Path, reports: Reports) -> None:
    for pid, value in ((ENDED, 1.0), (ALSO_ENDED, 2.5), (RUNNING, 4.0)):
        write(tmp_path, "counter", pid, bets=value, **{f"of_{pid}": 1.0})
        write(tmp_path, "histogram", pid, buckets_le_1=value, buckets_le_2=1.0)
    write(tmp_path, "gauge_livesum", ENDED, workers=1.0)
    before = samples(tmp_path, reports)
    assert (before["bets"], before["seconds_bucket1.0"], before["seconds_bucket2.0"]) == (7.5, 7.5, 10.5)
    del before["workers"]
    for _ in range(2):
        merge_ended(tmp_path, reports)
        assert samples(tmp_path, reports) == before
    running = [f"counter_{RUNNING}.db", f"histogram_{RUNNING}.db"]
    assert names(tmp_path) == sorted([*running, "counter_merged.db", "histogram_merged.db"])
    write(tmp_path, "counter", ENDED, bets=100.0)
    merge_ended(tmp_path, reports)
    assert samples(tmp_path, reports)["bets"] == 107.5
    assert reports.by_name == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", b"garbage", b"\x7f" * 65536, b"\x40\0\0\0\0\0\0\0\x10\0\0\0[]" + b" " * 64],
    ids=["empty", "one byte", "short", "endless", "not a key"],
)
def test_an_unreadable_file_is_skipped_and_reported(tmp_path: Path, reports: Reports, content: bytes) -> None:
    write(tmp_path, "counter", RUNNING, bets=3.0)
    write(tmp_path, "counter", ENDED, bets=2.0)
    (tmp_path / f"counter_{ALSO_ENDED}.db").write_bytes(content)
    (tmp_path / "histogram_merged.db").write_bytes(content)
    (tmp_path / "stray.db").write_bytes(content)
    assert samples(tmp_path, reports) == {"bets": 5.0}
    assert set(reports.by_name) == {f"counter_{ALSO_ENDED}.db", "histogram_merged.db", "stray.db"}
    reports.by_name.clear()
    merge_ended(tmp_path, reports)
    assert list(reports.by_name) == [f"counter_{ALSO_ENDED}.db"]
    assert names(tmp_path) == [f"counter_{RUNNING}.db", "counter_merged.db", "histogram_merged.db", "stray.db"]
    assert samples(tmp_path, reports) == {"bets": 5.0}


def test_a_reader_that_hangs_does_not_block_the_master(
    tmp_path: Path, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_metrics, "_LOCK_ATTEMPTS", 2)
    write(tmp_path, "counter", ENDED, bets=2.0)
    with (tmp_path / "lock").open("ab") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        merge_ended(tmp_path, reports)
        assert names(tmp_path) == [f"counter_{ENDED}.db"]
        assert samples(tmp_path, reports) == {"bets": 2.0}
    merge_ended(tmp_path, reports)
    assert names(tmp_path) == ["counter_merged.db"]


def test_a_directory_is_removed_after_its_processes_ended(tmp_path: Path) -> None:
    for name in ("in use", "abandoned", "unmarked"):
        (tmp_path / name).mkdir()
    in_use = claim(tmp_path / "in use")
    os.close(claim(tmp_path / "abandoned"))
    remove_abandoned(tmp_path.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in use", "unmarked"]
    os.close(in_use)


def test_a_directory_of_another_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could hold a pipe instead of the file that is opened, and hold up the start."""
    directory = tmp_path / "foreign"
    directory.mkdir()
    os.mkfifo(directory / "owner")
    monkeypatch.setattr(os, "getuid", lambda: os.stat(directory).st_uid + 1)
    remove_abandoned([directory])
    assert directory.exists()


def scrape(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        return str(response.read().decode())


def taken(url: str) -> int:
    return int(float(match[1])) if (match := TAKEN.search(scrape(url))) else 0


@pytest.mark.served
@pytest.mark.slow
def test_metrics_survive_kill_9_of_workers(world: World, tmp_path: Path) -> None:
    world.customer("8", balance="1000.00")
    directory = tmp_path / "metrics"
    directory.mkdir()
    left = write(directory, "counter", ENDED, left_by_an_earlier_service=7.0)
    number = 0
    with served(world.settings.database_url, tmp_path, workers=2, PROMETHEUS_MULTIPROC_DIR=str(directory)) as (
        url,
        master,
    ):
        for _ in range(6):
            for _ in range(5):
                number += 1
                assert post(url, "/bets", {"bets": [bet(number, "1.00", user=8)]}) == OK
            assert taken(url) == number
            wait_until(lambda: len(workers_of(master)) == 2)
            victim = workers_of(master)[0]
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in workers_of(master) and not list(directory.glob(f"*_{victim}.db")))  # noqa: B023
            assert taken(url) == number
        running = {str(pid) for pid in [master, *workers_of(master)]} | {"merged"}
        assert {name.removesuffix(".db").rpartition("_")[2] for name in names(directory)} <= running
        assert not left.exists()
        assert "left_by_an_earlier_service 7.0" in scrape(url)
        (directory / "counter_99.db").write_bytes(b"torn")
        assert taken(url) == number
    log = (tmp_path / "server.log").read_text()
    assert "Traceback" not in log
    assert re.search(r'"file":"[^"]*counter_99\.db".*"event":"metrics_unreadable"', log)


@pytest.mark.served
def test_a_worker_without_space_for_its_metrics_serves_without_them(world: World, tmp_path: Path) -> None:
    """Mapped files without space would end it with SIGBUS in the middle of a request."""
    directory = tmp_path / "metrics"
    directory.mkdir()
    with served(world.settings.database_url, tmp_path, workers=1, PROMETHEUS_MULTIPROC_DIR=str(directory)) as (
        url,
        master,
    ):
        assert post(url, "/bets", {"bets": [bet(1)]}) == OK
        (first,) = workers_of(master)
        before = resource.prlimit(master, resource.RLIMIT_FSIZE)
        resource.prlimit(master, resource.RLIMIT_FSIZE, (100_000, before[1]))
        os.kill(master, signal.SIGHUP)
        wait_until(lambda: len(workers_of(master)) == 1 and first not in workers_of(master))
        (second,) = workers_of(master)
        resource.prlimit(second, resource.RLIMIT_FSIZE, before)  # which the database's file needs
        assert post(url, "/bets", {"bets": [bet(2)]}) == OK
        assert taken(url) == 1
        resource.prlimit(master, resource.RLIMIT_FSIZE, before)
        os.kill(second, signal.SIGKILL)
        assert post(url, "/bets", {"bets": [bet(3)]}) == OK
        assert taken(url) == 2
    assert "this worker's are not counted" in (tmp_path / "server.log").read_text()


def test_a_command_writes_no_metrics_into_the_service_s_directory(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("wallet-hooks")), "replay", "list", str(CASES)]
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd=tmp_path)
    assert names(tmp_path) == []
