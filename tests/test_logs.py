"""Log lines: those that are written together are like those that are written one by one."""

import json
import subprocess
import sys
from typing import Any

import pytest

_LOG = """
import sys
from wallet_hooks.logs import LOG, log_errors_only, log_together, start_logging
start_logging(sys.argv[1])
if sys.argv[2] == "errors only":
    log_errors_only()
LOG.info("callback", request_id="1", ms=1.5, code=None)
log_together("callback", [{"request_id": "1", "ms": 1.5, "code": None}] * 2)
"""


def lines(level: str, errors: str = "") -> list[dict[str, Any]]:
    output = subprocess.run([sys.executable, "-c", _LOG, level, errors], check=True, capture_output=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def test_lines_that_are_written_together_are_like_others() -> None:
    one, *together = lines("info")
    assert len(together) == 2
    for line in together:
        assert list(line) == list(one)
        assert len(line["timestamp"]) == len(one["timestamp"])
        assert {**line, "timestamp": ""} == {**one, "timestamp": ""}


@pytest.mark.parametrize(("level", "errors"), [("error", ""), ("info", "errors only")])
def test_the_level_holds_for_both(level: str, errors: str) -> None:
    assert lines(level, errors) == []


_DEFECT = """
import psycopg
from wallet_hooks.logs import start_logging
from wallet_hooks.web.causes import log_defect
start_logging("info")
try:
    try:
        raise psycopg.errors.CheckViolation("new row violates a check DETAIL: Failing row contains (secret-coupon)")
    except psycopg.Error as error:
        raise ValueError("while saving") from error
except ValueError as error:
    log_defect(error, request_id="1", path="/bets")
    log_defect(error.__cause__, request_id="2", path="/bets")
"""


def test_a_defect_is_logged_without_the_rows_that_the_database_quotes() -> None:
    output = subprocess.run([sys.executable, "-c", _DEFECT], check=True, capture_output=True, text=True).stdout
    found = [json.loads(line) for line in output.splitlines()]
    assert [(one["request_id"], one["error"]) for one in found] == [("1", "CheckViolation"), ("2", "CheckViolation")]
    assert "secret-coupon" not in output
    assert "line 8, in <module>" in output
