"""Reads an uploaded report of a provider in a process of its own, with limits and the lowest priority.

A small XLSX file can unpack to more than the machine's memory, and the process that serves it takes bets as well.
"""

import ctypes
import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from wallet_hooks.finance.provider_report import BadReportError, ReportLine, read_report
from wallet_hooks.processors import lower_priority

_MEMORY = 2 * 1024**3  # bytes, of which most are libraries' reservations
_SECONDS = 120  # of processor time
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_BAD_REPORT = 2  # exit status
_COMMAND = (sys.executable, "-c", "from wallet_hooks.console.report_reading import main; main()")


def read_report_apart(path: Path, mapping: Mapping[str, str], *, brand: str | None) -> Iterator[ReportLine]:
    """Yield what `read_report` yields, from another process. Raises BadReportError, also for a report too large."""
    arguments = [str(path), json.dumps(dict(mapping)), json.dumps(brand)]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen([*_COMMAND, *arguments], stdout=subprocess.PIPE, stderr=errors) as process,  # noqa: S603 - ours
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                yield ReportLine(*json.loads(line))
            if process.wait() == 0:
                return
        finally:
            process.kill()  # where the reader stopped early
        errors.seek(0)
        message = errors.read().decode("utf-8", "replace").strip()
        is_known = process.returncode == _BAD_REPORT and message
        raise BadReportError(message if is_known else f"{path.name}: too large, or not readable")


def main() -> None:
    """Print the lines of a report as JSON; exit with status 2 and a message for a bad one."""
    if sys.platform == "linux":  # end with the service
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    lower_priority()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    path, mapping, brand = sys.argv[1:]
    try:
        for line in read_report(Path(path), json.loads(mapping), brand=json.loads(brand)):
            sys.stdout.write(f"{json.dumps(line)}\n")
    except BadReportError as error:
        sys.stderr.write(str(error))
        sys.exit(_BAD_REPORT)
