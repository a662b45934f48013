"""Reports of a run: terminal, JUnit XML, JSON, HTML."""

import difflib
import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

import click
from jinja2 import Environment, PackageLoader

from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.replay.fixture import Case, headers_of
from wallet_hooks.replay.running import CaseResult, Mismatch
from wallet_hooks.replay.targets import escape_path

_COLOURS = {"-": "red", "+": "green"}
_LONGEST_ARGUMENT = 30_000
_PAGES = Environment(loader=PackageLoader("wallet_hooks"), autoescape=True)


class Run(NamedTuple):
    """The results of a run; `is_complete` is False if an error or a signal ended it."""

    results: Sequence[CaseResult]
    is_complete: bool = True

    @property
    def failed(self) -> int:
        """How many cases are not as expected."""
        return sum(not result.passed for result in self.results)


def describe_failure(result: CaseResult, address: str) -> Iterator[str]:
    """Yield coloured lines about a failed case: file and line, differences, and a curl command that sends it again."""
    yield click.style(f"FAILED {result.case.name}", fg="red", bold=True) + f"  {result.case.where}"
    if description := result.case.document.get("description"):
        yield f"  {printable(description)}"
    for mismatch in result.mismatches:
        yield f"  {mismatch.what}"
        for line in difference(mismatch):
            yield "    " + click.style(printable(line), fg=_COLOURS.get(line[:1]))
    yield f"  {curl(result.case, address)}"
    yield ""


def difference(mismatch: Mismatch) -> list[str]:
    """Return the diff of a mismatch; its lines begin with `-` (expected), `+` (actual), or a space (both)."""
    expected, actual = (_lines(side) for side in (mismatch.expected, mismatch.actual))
    if expected == actual:  # such as 1 and 1.0: different in JSON, equal in Python
        return [f"- {mismatch.expected!r}", f"+ {mismatch.actual!r}"]
    return [line for line in difflib.ndiff(expected, actual) if not line.startswith("?")]


def curl(case: Case, address: str) -> str:
    """Return a shell command that sends the case's request, unsigned."""
    request = case.request
    words = ["curl", "-i", "-X", request.get("method", "POST"), f"{address}{escape_path(request['path'])}"]
    for name, value in headers_of(request).items():
        words += ["-H", f"{name}: {value}" if value is not None else f"{name}:"]
    body = encode_body(request)
    line = " ".join(map(shlex.quote, words))
    try:
        text = body.decode()
        if text.isprintable() and len(text) < _LONGEST_ARGUMENT:
            return f"{line} --data-raw {shlex.quote(text)}"
    except UnicodeDecodeError:
        pass
    encoded = "".join(f"\\{byte:03o}" for byte in body)
    return f"printf {shlex.quote(encoded)} | {line} --data-binary @-"


def as_json(run: Run) -> dict[str, Any]:
    """Return the run as a JSON object: totals, and each case with its mismatches."""
    return {
        "total": len(run.results),
        "passed": len(run.results) - run.failed,
        "failed": run.failed,
        "complete": run.is_complete,
        "cases": [
            {
                "name": result.case.name,
                "where": result.case.where,
                "passed": result.passed,
                "seconds": round(result.seconds, 6),
                "tags": result.case.tags,
                "actual": result.actual,
                "mismatches": [mismatch._asdict() for mismatch in result.mismatches],
            }
            for result in run.results
        ],
    }


def as_junit(run: Run) -> bytes:
    """Return the run as JUnit XML. A run that ended early has an error, so that it does not pass."""
    cases = len(run.results) + (not run.is_complete)
    suite = ElementTree.Element(
        "testsuite", name="wallet-hooks replay", tests=str(cases), failures=str(run.failed),
        errors=str(int(not run.is_complete)), time=f"{sum(result.seconds for result in run.results):.3f}",
    )  # fmt: skip
    if not run.is_complete:
        case = ElementTree.SubElement(suite, "testcase", name="the run is complete", classname="wallet-hooks replay")
        ElementTree.SubElement(case, "error", message="the run ended early: not all cases were run")
    for result in run.results:
        case = ElementTree.SubElement(
            suite, "testcase", name=printable(result.case.name), classname=printable(result.case.path.stem),
            file=printable(str(result.case.path)), line=str(result.case.line), time=f"{result.seconds:.3f}",
        )  # fmt: skip
        if not result.passed:
            what = ", ".join(mismatch.what for mismatch in result.mismatches)
            failure = ElementTree.SubElement(case, "failure", message=printable(f"not as expected: {what}"))
            lines = (line for mismatch in result.mismatches for line in (mismatch.what, *difference(mismatch)))
            failure.text = printable("\n".join(lines))
    xml: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return xml


def as_html(run: Run, address: str) -> str:
    """Return the run as a self-contained HTML page."""
    cases = [
        {
            "result": result,
            "curl": curl(result.case, address),
            "request": json.dumps(result.case.request, indent=2, ensure_ascii=False),
            "differences": [(mismatch.what, difference(mismatch)) for mismatch in result.mismatches],
        }
        for result in sorted(run.results, key=lambda result: result.passed)
    ]
    return _PAGES.get_template("replay.html").render(cases=cases, run=run)


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def printable(text: str) -> str:
    """Replace characters that XML cannot contain, or that control a terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() else "\ufffd" for char in text)
