"""What a run came to, for people and for machines: the terminal, JUnit, JSON, HTML."""

import difflib
import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import click
from jinja2 import Environment, PackageLoader

from wallet_hooks.replay.fixture import Case, body_of
from wallet_hooks.replay.running import Mismatch, Played
from wallet_hooks.replay.targets import escaped

_COLOURS = {"-": "red", "+": "green"}
_LONGEST_ARGUMENT = 30_000
_PAGES = Environment(loader=PackageLoader("wallet_hooks"), autoescape=True)


def told(played: Played, address: str) -> Iterator[str]:
    """A failed case, in colour: where it is, what differs, and how to send it again."""
    yield click.style(f"FAILED {played.case.name}", fg="red", bold=True) + f"  {played.case.where}"
    if description := played.case.document.get("description"):
        yield f"  {description}"
    for mismatch in played.mismatches:
        yield f"  {mismatch.what}"
        for line in difference(mismatch):
            yield "    " + click.style(line, fg=_COLOURS.get(line[:1]))
    yield f"  {curl(played.case, address)}"
    yield ""


def difference(mismatch: Mismatch) -> list[str]:
    """Lines that begin with `-` (expected), `+` (actual), or a space (both)."""
    expected, actual = (_lines(side) for side in (mismatch.expected, mismatch.actual))
    if expected == actual:  # 1 and 1.0, which JSON tells apart and Python does not
        return [f"- {mismatch.expected!r}", f"+ {mismatch.actual!r}"]
    return [line for line in difflib.ndiff(expected, actual) if not line.startswith("?")]


def curl(case: Case, address: str) -> str:
    """A line for a shell that sends the case's request, unsigned."""
    request = case.request
    words = ["curl", "-i", "-X", request.get("method", "POST"), f"{address}{escaped(request['path'])}"]
    headers = {"Content-Type": "application/json"} | (request.get("headers") or {})
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}" if value is not None else f"{name}:"]
    body = body_of(request)
    line = " ".join(map(shlex.quote, words))
    try:
        text = body.decode()
        if text.isprintable() and len(text) < _LONGEST_ARGUMENT:
            return f"{line} --data-raw {shlex.quote(text)}"
    except UnicodeDecodeError:
        pass
    encoded = "".join(f"\\{byte:03o}" for byte in body)
    return f"printf {shlex.quote(encoded)} | {line} --data-binary @-"


def as_json(results: Sequence[Played]) -> dict[str, Any]:
    """The run as an object: totals, and each case with what differs."""
    return {
        "total": len(results),
        "passed": sum(played.passed for played in results),
        "failed": sum(not played.passed for played in results),
        "cases": [
            {
                "name": played.case.name,
                "where": played.case.where,
                "passed": played.passed,
                "seconds": round(played.seconds, 6),
                "tags": played.case.tags,
                "actual": played.actual,
                "mismatches": [mismatch._asdict() for mismatch in played.mismatches],
            }
            for played in results
        ],
    }


def as_junit(results: Sequence[Played]) -> bytes:
    """The run as JUnit's XML, which every build server reads."""
    failed = sum(not played.passed for played in results)
    suite = ElementTree.Element(
        "testsuite", name="wallet-hooks replay", tests=str(len(results)), failures=str(failed), errors="0",
        time=f"{sum(played.seconds for played in results):.3f}",
    )  # fmt: skip
    for played in results:
        case = ElementTree.SubElement(
            suite, "testcase", name=_printable(played.case.name), classname=_printable(played.case.path.stem),
            file=_printable(str(played.case.path)), line=str(played.case.line), time=f"{played.seconds:.3f}",
        )  # fmt: skip
        if not played.passed:
            what = ", ".join(mismatch.what for mismatch in played.mismatches)
            failure = ElementTree.SubElement(case, "failure", message=_printable(f"not as expected: {what}"))
            lines = (line for mismatch in played.mismatches for line in (mismatch.what, *difference(mismatch)))
            failure.text = _printable("\n".join(lines))
    xml: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return xml


def as_html(results: Sequence[Played], address: str) -> str:
    """The run as a page that needs no network."""
    cases = [
        {
            "played": played,
            "curl": curl(played.case, address),
            "request": json.dumps(played.case.request, indent=2, ensure_ascii=False),
            "differences": [(mismatch.what, difference(mismatch)) for mismatch in played.mismatches],
        }
        for played in sorted(results, key=lambda played: played.passed)
    ]
    failed = sum(not played.passed for played in results)
    return _PAGES.get_template("replay.html").render(cases=cases, total=len(results), failed=failed)


def _lines(value: Any) -> list[str]:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True).splitlines()


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(sign if sign in "\n\t" or sign.isprintable() else "\ufffd" for sign in text)
