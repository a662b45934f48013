"""`wallet-hooks replay`: run, record, list, show, diff, lint, redact, convert, accept."""

import difflib
import json
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from sqlalchemy import Engine

from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.identity.secrets import check_reference, read_secret
from wallet_hooks.replay import reports
from wallet_hooks.replay.converting import as_curl, as_har
from wallet_hooks.replay.fixture import Case, FixtureError, bets_of, read_cases, read_sequences, write_cases
from wallet_hooks.replay.fixture import Sequence as Cases
from wallet_hooks.replay.linting import suspects
from wallet_hooks.replay.recording import Recorder, Wanted
from wallet_hooks.replay.redacting import Redactor
from wallet_hooks.replay.running import Options, Played, play_all, play_blindly
from wallet_hooks.replay.stage import Proof, Stages, stages, throw_away_stages
from wallet_hooks.replay.targets import ClockError, InProcess, Remote, UnreachableError
from wallet_hooks.settings import Settings
from wallet_hooks.telemetry import log_errors_alone

DIFFERENT, WRONG, UNREACHABLE, NOTHING = 1, 2, 3, 5
_SPEEDS = {"max": None, "1x": 1.0, "10x": 10.0}
_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
_FILTER = click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="path, bet, tag, status, from or to; repeatable."
)
_OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Fixtures(click.Group):
    """What is wrong with a fixture, or with a target, is a line and an exit status of its own."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FixtureError as error:
            _end(str(error), WRONG)
        except ClockError as error:
            _end(str(error), WRONG)
        except UnreachableError as error:
            _end(f"unreachable: {error}", UNREACHABLE)


@click.group(cls=_Fixtures)
def replay() -> None:
    """Fixtures of callbacks: run them against a service, and make them of what was received."""
    log_errors_alone()  # a line a callback would drown what is told of the cases


@replay.command()
@_PATHS
@click.option("--target", metavar="URL", help="A service to send to, instead of one in this process.")
@click.option("--in-process", is_flag=True, help="On a throw-away database in this process; the default.")
@click.option("--database", metavar="URL", help="What is given is put there, and balances are read there.")
@_FILTER
@click.option("--speed", type=click.Choice(list(_SPEEDS)), default="max", show_default=True)
@click.option(
    "--clock", "clock_", type=click.Choice(["recorded", "now"]), help="Default: recorded in process, else now."
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Of a capture, customers at once.",
)
@click.option("--duplicate", type=click.IntRange(1, 100), default=1, metavar="N", help="Send each request N times.")
@click.option("--shuffle", type=int, metavar="SEED", help="Mix cases, and customers within captures.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first case that fails.")
@click.option("--sign", metavar="AUTH=REFERENCE", help="Sign for a --target, as in scout-jwt=env:NAME.")
@click.option("--junit", type=_OUTPUT, metavar="FILE")
@click.option("--json", "json_file", type=_OUTPUT, metavar="FILE")
@click.option("--html", type=_OUTPUT, metavar="FILE")
def run(
    paths: tuple[Path, ...],
    target: str | None,
    in_process: bool,
    database: str | None,
    filters: tuple[str, ...],
    speed: str,
    clock_: str | None,
    parallel: int,
    duplicate: int,
    shuffle: int | None,
    fail_fast: bool,
    sign: str | None,
    junit: Path | None,
    json_file: Path | None,
    html: Path | None,
) -> None:
    """Run the cases of files and directories, and compare what is answered, and what came of it.

    Exit 0 all as expected, 1 differences, 2 bad fixture or usage, 3 target unreachable, 5 nothing selected.
    """
    recorded = clock_ == "recorded" if clock_ else target is None
    for wrong, why in (
        (target and in_process, "--target or --in-process, not both"),
        (parallel > 1 and recorded, "--parallel needs --clock now: there is one clock for all"),
        (parallel > 1 and speed != "max", "--parallel is as fast as it goes"),
        (sign and not target, "--sign is for a --target; in process, requests are signed as their providers are"),
    ):
        if wrong:
            raise click.UsageError(why)
    files = [file for file in (junit, json_file, html) if file is not None]
    for file in files:
        if not file.resolve().parent.is_dir():
            raise click.UsageError(f"{file}: there is no such directory")
    options = Options(recorded, _SPEEDS[speed], parallel, duplicate, shuffle, _proof(sign))
    sequences = _selected(paths, filters)
    if database and len(sequences) > 1:
        raise click.UsageError("--database takes one case or capture: each begins on a database of its own")
    results: list[Played] = []
    try:
        for one in _playing(sequences, options, target, database):
            results.append(one)
            if not one.passed:
                click.echo("\n".join(reports.told(one, target or InProcess.address)))
                if fail_fast:
                    break
    finally:
        _write_reports(results, target or InProcess.address, junit, json_file, html)
    failed = sum(not one.passed for one in results)
    looked = "; balances and the ledger were not looked at (--database)" if target and not database else ""
    told = f"{len(results)} cases: {len(results) - failed} passed, {failed} failed{looked}"
    click.echo(click.style(told, fg="red" if failed else "green", bold=True))
    sys.exit(DIFFERENT if failed else 0)


def _playing(
    sequences: Sequence[Cases], options: Options, target: str | None, database: str | None
) -> Iterator[Played]:
    remote = Remote(_url(target), connections=options.parallel) if target else None
    with _stages(target, database) as found, closing(remote) if remote else nullcontext():
        if found is not None:
            yield from play_all(sequences, found, options, remote=remote)
        else:
            assert remote is not None
            yield from play_blindly(sequences, options, remote)


@replay.command()
@click.option("--from", "first", metavar="TIME", help="Received at or after (ISO 8601, UTC).")
@click.option("--to", "last", metavar="TIME", help="Received before.")
@click.option("--bet", help="Naming this bet: its id, or game:brand:id.")
@click.option("--status", type=click.IntRange(100, 599), help="Answered with.")
@click.option("-o", "--output", type=_OUTPUT, required=True, help="A .jsonl or .jsonl.gz file.")
@click.pass_obj
def record(
    engine: Engine, first: str | None, last: str | None, bet: str | None, status: int | None, output: Path
) -> None:
    """Make a capture of stored callbacks. It holds what came: redact it before it leaves the house."""
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise click.UsageError("a capture is a .jsonl or a .jsonl.gz file")
    wanted = Wanted(_time("--from", first), _time("--to", last), bet, status)
    with reading(engine) as session:
        recorder = Recorder(session, wanted)
        count = write_cases(output, recorder.lines())
        moved = recorder.moved_beside()
    left_out = f"; {recorder.left_out} left out, forbidden or about bets taken before" if recorder.left_out else ""
    beside = f"; {moved} customers' money was also moved beside them, which is not in it" if moved else ""
    click.echo(f"{count} callbacks recorded in {output}{left_out}{beside}", err=True)
    if not count:
        sys.exit(NOTHING)


@replay.command("list")
@_PATHS
@_FILTER
@click.option("--json", "as_json", is_flag=True)
def list_(paths: tuple[Path, ...], filters: tuple[str, ...], as_json: bool) -> None:
    """List cases: name, path, status, bets and tags."""
    for sequence in _selected(paths, filters):
        for case in sequence.cases:
            bets = [bet["bet"] for bet in bets_of(case.request)]
            status, path = case.expect["status"], case.request["path"]
            if as_json:
                row = {"name": case.name, "where": case.where, "path": path, "status": status, "bets": bets}
                click.echo(json.dumps(row | {"tags": case.tags, "description": case.document.get("description")}))
            else:
                shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in ",".join(bets))
                click.echo(f"{status} {path:<12} {case.name:<48} {shown:<20} {' '.join(case.tags)}")


@replay.command()
@_PATHS
@_FILTER
def show(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Show cases whole, each with a line of curl."""
    for sequence in _selected(paths, filters):
        for case in sequence.cases:
            click.echo(click.style(case.where, bold=True))
            click.echo(json.dumps(case.document, indent=2, ensure_ascii=False))
            click.echo(reports.curl(case, InProcess.address))


@replay.command()
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
def diff(before: Path, after: Path) -> None:
    """Compare the cases of two files by their names. Exit 1 where they differ."""
    ours, theirs = (_by_name(path) for path in (before, after))
    different = False
    for name in dict.fromkeys([*ours, *theirs]):
        sides = [
            json.dumps(found.document, indent=2, ensure_ascii=False, sort_keys=True).splitlines() if found else []
            for found in (ours.get(name), theirs.get(name))
        ]
        names = [found.where if found else "/dev/null" for found in (ours.get(name), theirs.get(name))]
        for line in difflib.unified_diff(sides[0], sides[1], names[0], names[1], lineterm=""):
            different = True
            click.echo(click.style(line, fg={"-": "red", "+": "green"}.get(line[:1])))
    sys.exit(DIFFERENT if different else 0)


def _by_name(path: Path) -> dict[str, Case]:
    """Raises FixtureError where a name comes twice."""
    found: dict[str, Case] = {}
    for case in read_cases(path):
        if case.name in found:
            raise FixtureError(case.where, f"the name {case.name} is also that of line {found[case.name].line}")
        found[case.name] = case
    return found


@replay.command()
@_PATHS
def lint(paths: tuple[Path, ...]) -> None:
    """Check fixtures against the schema, and for anything that looks like a secret. Exit 1 where there is some."""
    count = found = 0
    for sequence in _selected(paths, ()):
        for case in sequence.cases:
            count += 1
            for suspect in suspects(case):
                found += 1
                click.echo(f"{case.where}: {suspect}")
    click.echo(f"{count} cases, {found} suspects", err=True)
    sys.exit(DIFFERENT if found else 0)


@replay.command()
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=_OUTPUT, required=True)
@click.option("--key", metavar="REFERENCE", help="env:NAME or file:PATH; the same key gives the same pseudonyms.")
def redact(file: Path, output: Path, key: str | None) -> None:
    """Take what is secret or personal out of a capture: ids and addresses become pseudonyms, names go."""
    redactor = Redactor(secrets.token_bytes(32) if key is None else _key(key))
    redactor.learn(case.document for case in read_cases(file))
    count = write_cases(output, redactor.redact(case.document for case in read_cases(file)))
    left_out = f"; {redactor.left_out} left out, whose bodies are no JSON" if redactor.left_out else ""
    click.echo(f"{count} cases written to {output}{left_out}", err=True)
    if not count:
        sys.exit(NOTHING)


@replay.command()
@_PATHS
@_FILTER
@click.option("--to", "format_", type=click.Choice(["har", "curl"]), required=True)
@click.option("--target", default=InProcess.address, show_default=True, metavar="URL")
def convert(paths: tuple[Path, ...], filters: tuple[str, ...], format_: str, target: str) -> None:
    """Write cases as an HTTP archive, or as lines of curl, to standard output."""
    cases = [case for sequence in _selected(paths, filters) for case in sequence.cases]
    if format_ == "har":
        click.echo(json.dumps(as_har(cases, target), indent=2, ensure_ascii=False))
    else:
        click.echo(as_curl(cases, target), nl=False)


@replay.command()
@_PATHS
@_FILTER
def accept(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Run cases in process, and write what they are answered into their fixtures."""
    actual: dict[tuple[Path, int], dict[str, Any]] = {}
    impossible = False
    with throw_away_stages() as stages:
        for one in play_all(_selected(paths, filters), stages, Options(second_pass=False)):
            if any(mismatch.what.startswith("given") for mismatch in one.mismatches):
                impossible = True
                click.echo(f"{one.case.where}: what is given cannot be; nothing is accepted")
            elif not one.passed:
                actual[one.case.path, one.case.line] = one.case.document | {"expect": _accepted(one)}
                click.echo(f"{one.case.where}: {', '.join(mismatch.what for mismatch in one.mismatches)}")
    for path in dict.fromkeys(path for path, _ in actual):
        write_cases(path, [actual.get((path, case.line), case.document) for case in list(read_cases(path))])
    click.echo(f"{len(actual)} cases changed", err=True)
    sys.exit(DIFFERENT if impossible else 0)


def _accepted(one: Played) -> dict[str, Any]:
    """What was expected, with what was found in its place."""
    return {name: one.actual.get(name, value) for name, value in one.case.expect.items()} | {
        "status": one.actual.get("status", one.case.expect["status"])
    }


def _selected(paths: Sequence[Path], filters: Sequence[str]) -> list[Cases]:
    """The cases that all filters let through. Ends with exit 5 where there are none: nothing run is never green."""
    accepts = [_filter(text) for text in filters]
    found = [
        sequence._replace(cases=kept)
        for sequence in read_sequences(paths)
        if (kept := list(_kept(sequence.cases, lambda case: all(accept(case) for accept in accepts))))
    ]
    if not found:
        _end("nothing selected", NOTHING)
    return found


def _kept(cases: Sequence[Case], accepts: Callable[[Case], bool]) -> Iterator[Case]:
    """The cases that are accepted; what others had given before them in a capture is given with the next one."""
    given: dict[str, list[Any]] = {}
    for case in cases:
        if accepts(case):
            merged = {name: [*ones, *case.given.get(name, ())] for name, ones in given.items()}
            yield case._replace(document=case.document | {"given": case.given | merged}) if merged else case
            given = {}
        else:
            for name in ("brands", "customers", "limits", "rates"):
                if name in case.given:
                    given[name] = [*given.get(name, ()), *case.given[name]]


def _filter(text: str) -> Callable[[Case], bool]:
    key, equals, value = text.partition("=")
    if not equals or key not in ("path", "bet", "tag", "status", "from", "to"):
        raise click.UsageError(f"--filter {text}: path, bet, tag, status, from or to, and =VALUE")
    if key in ("from", "to"):
        instant = _time("--filter", value)
        assert instant is not None
        return lambda case: case.at is not None and (case.at >= instant if key == "from" else case.at < instant)
    matches: dict[str, Callable[[Case], bool]] = {
        "path": lambda case: case.request["path"] == value,
        "bet": lambda case: any(bet["bet"] == value for bet in bets_of(case.request)),
        "tag": lambda case: value in case.tags,
        "status": lambda case: str(case.expect["status"]) == value,
    }
    return matches[key]


def _stages(target: str | None, database: str | None) -> AbstractContextManager[Stages | None]:
    if database is None:
        return throw_away_stages() if target is None else nullcontext(None)
    return stages(replace(Settings.from_env(), database_url=database), lambda stage: None, durable=True)


def _write_reports(
    results: Sequence[Played], address: str, junit: Path | None, json_file: Path | None, html: Path | None
) -> None:
    if junit is not None:
        junit.write_bytes(reports.as_junit(results))
    if json_file is not None:
        json_file.write_text(json.dumps(reports.as_json(results), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if html is not None:
        html.write_text(reports.as_html(results, address), "utf-8")


def _url(target: str) -> str:
    try:
        parts = urlsplit(target)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise click.UsageError(f"--target: a URL such as http://127.0.0.1:8000 is expected, not {target!r}")
    return target


def _proof(sign: str | None) -> Proof | None:
    if sign is None:
        return None
    auth, _, reference = sign.partition("=")
    if auth not in AUTHENTICATIONS:
        raise click.UsageError(f"--sign: an authentication is one of {', '.join(AUTHENTICATIONS)}")
    return Proof(auth, _key(reference).decode())


def _key(reference: str) -> bytes:
    try:
        secret = read_secret(check_reference(reference))
    except RefusedError as error:
        raise click.UsageError(str(error)) from None
    if secret is None:
        raise click.UsageError(f"there is no secret at {reference}")
    return secret.encode()


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option}: a time such as 2026-11-21T12:00:00Z is expected") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _end(message: str, status: int) -> Any:
    click.echo(f"wallet-hooks: {message}", err=True)
    sys.exit(status)
