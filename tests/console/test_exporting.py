"""Exports of the console: in the background, with progress, in a directory that may fail."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.console.staff import csrf_token, signed_in
from tests.test_commands import Shell
from tests.waiting import wait_until
from tests.world import World
from wallet_hooks.console import exporting
from wallet_hooks.finance import exports


def test_an_export_runs_with_progress_and_is_its_owners(settled: World, tmp_path: Path) -> None:
    settled.configure(console_directory=str(tmp_path / "exports"))
    browser, other = signed_in(settled, "finance"), signed_in(settled, "qa")
    today = datetime.now(UTC).date().isoformat()
    form = {"from": "2020-01-01", "to": today, "format": "csv"}
    preview = f"/console/reports/journal?from={today}"
    started = browser.submit(preview, "/console/reports/journal/export", **form)
    path = started.request.path
    for _ in range(100):
        if "Done" in (page := browser.page(path)):
            break
        time.sleep(0.05)
    assert "Done: 8 rows." in page, page
    content = browser.get(f"{path}/journal_2020-01-01_{today}.csv").text
    manifest = json.loads(browser.get(f"{path}/journal_2020-01-01_{today}.csv.manifest.json").text)
    file = tmp_path / "journal.csv"
    Shell(settled.settings.database_url).ok("export", "journal", "--to", today, "-o", str(file))
    assert content.encode() == file.read_bytes()
    assert manifest["rows"] == 8
    assert other.get(path).status_code == 404
    assert other.get(f"{path}/journal_2020-01-01_{today}.csv").status_code == 404
    assert browser.get(f"{path}/state.json").status_code == 400
    for bad in ({"format": "pdf"}, {"format": "xero", "bom": "yes"}, {"from": "x"}):
        answer = browser.submit(
            f"/console/reports/journal?from={today}", "/console/reports/journal/export", **form | bad
        )
        assert answer.status_code == 400


def test_an_export_that_waits_for_the_database_is_not_taken_for_lost(
    settled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.configure(console_directory=str(tmp_path / "exports"))
    monkeypatch.setattr(exporting, "_LOST_SECONDS", 1.0)
    released = Event()
    write_file = exports.write_file

    def wait(*arguments: Any) -> Any:
        released.wait(10)
        return write_file(*arguments)

    monkeypatch.setattr(exports, "write_file", wait)
    browser, form = signed_in(settled, "finance"), {"from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
    started = browser.submit("/console/reports/journal?from=2026-01-01", "/console/reports/journal/export", **form)
    time.sleep(2)
    assert "0 rows so far" in browser.page(started.request.path)
    released.set()
    wait_until(lambda: "Done:" in browser.page(started.request.path))


def test_an_export_without_a_thread_takes_no_place_from_others(
    settled: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled.configure(console_directory=str(tmp_path / "exports"))
    browser, form = signed_in(settled, "finance"), {"from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
    page, action = "/console/reports/journal?from=2026-01-01", "/console/reports/journal/export"

    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    form["csrf_token"] = csrf_token(browser.page(page))
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        assert [browser.client.post(action, data=form).status_code for _ in range(3)] == [500] * 3
    started = browser.submit(page, action, **form)
    wait_until(lambda: "Done:" in browser.page(started.request.path))


def test_a_directory_for_exports_that_is_gone_is_named(settled: World, tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file")
    settled.configure(console_directory=str(tmp_path / "exports"))
    form = {"from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
    browser = signed_in(settled, "finance")
    answer = browser.submit("/console/reports/journal?from=2026-01-01", "/console/reports/journal/export", **form)
    assert (answer.status_code, "WALLET_HOOKS_CONSOLE_DIRECTORY" in answer.text) == (400, True)


def test_a_foreign_directory_for_exports_is_refused(settled: World, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "exports").symlink_to(tmp_path / "theirs")
    settled.configure(console_directory=str(tmp_path / "exports"))
    form = {"from": "2026-01-01", "to": "2026-01-02", "format": "csv"}
    browser = signed_in(settled, "finance")
    answer = browser.submit("/console/reports/journal?from=2026-01-01", "/console/reports/journal/export", **form)
    assert answer.status_code == 400
    assert list((tmp_path / "theirs").iterdir()) == []
