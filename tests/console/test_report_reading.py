"""The process that reads an uploaded report."""

import os
from pathlib import Path

from tests.service import workers_of
from wallet_hooks.console.report_reading import read_report_apart


def test_an_uploaded_report_is_read_with_the_lowest_priority(tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text("brand,bet,currency,stake,payout,status\n" + "acme,1,EUR,10.00,,open\n" * 60_000)
    before = workers_of(os.getpid())
    lines = read_report_apart(report, {}, brand=None)
    next(lines)
    (reader,) = set(workers_of(os.getpid())) - set(before)  # it waits until the other lines are read
    assert os.getpriority(os.PRIO_PROCESS, reader) == 19
    assert sum(1 for _ in lines) == 59_999
