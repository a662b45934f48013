"""`wallet-hooks replay`: run, record, list, show, diff, lint, redact, convert, accept."""

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from wallet_hooks import money
from wallet_hooks.replay import reports
from wallet_hooks.replay.capture_commands import record, redact
from wallet_hooks.replay.converting import as_curl, as_har
from wallet_hooks.replay.fixture import Case, FixtureError, bets_of, read_cases
from wallet_hooks.replay.linting import suspects
from wallet_hooks.replay.playing_commands import accept, run
from wallet_hooks.replay.selecting import (
    DIFFERENT,
    FILE,
    FILTER,
    PATHS,
    UNREACHABLE,
    WRONG,
    end,
    selected,
)
from wallet_hooks.replay.targets import ClockError, InProcess, UnreachableError
from wallet_hooks.telemetry import log_errors_only


class _Fixtures(click.Group):
    """What is wrong with a fixture, or with a target, is a line and an exit status of its own."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (FixtureError, ClockError) as error:
            end(str(error), WRONG)
        except UnreachableError as error:
            end(f"unreachable: {error}", UNREACHABLE)


@click.group(cls=_Fixtures)
def replay() -> None:
    """Fixtures of callbacks: run them against a service, and make them of what was received."""
    money.set_stored_reader(dict)  # cases are played on databases of their own
    log_errors_only()  # a line a callback would drown what is told of the cases


@replay.command("list")
@PATHS
@FILTER
@click.option("--json", "as_json", is_flag=True)
def list_(paths: tuple[Path, ...], filters: tuple[str, ...], as_json: bool) -> None:
    """List cases: name, path, status, bets and tags."""
    for sequence in selected(paths, filters):
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
@PATHS
@FILTER
def show(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Show cases whole, each with a line of curl."""
    for sequence in selected(paths, filters):
        for case in sequence.cases:
            click.echo(click.style(case.where, bold=True))
            click.echo(json.dumps(case.document, indent=2, ensure_ascii=False))
            click.echo(reports.curl(case, InProcess.address))


@replay.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
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
@PATHS
def lint(paths: tuple[Path, ...]) -> None:
    """Check fixtures against the schema, and for anything that looks like a secret. Exit 1 where there is some."""
    count = found = 0
    for sequence in selected(paths, ()):
        for case in sequence.cases:
            count += 1
            for suspect in suspects(case):
                found += 1
                click.echo(f"{case.where}: {suspect}")
    click.echo(f"{count} cases, {found} suspects", err=True)
    sys.exit(DIFFERENT if found else 0)


@replay.command()
@PATHS
@FILTER
@click.option("--to", "format_", type=click.Choice(["har", "curl"]), required=True)
@click.option("--target", default=InProcess.address, show_default=True, metavar="URL")
def convert(paths: tuple[Path, ...], filters: tuple[str, ...], format_: str, target: str) -> None:
    """Write cases as an HTTP archive, or as lines of curl, to standard output."""
    cases = [case for sequence in selected(paths, filters) for case in sequence.cases]
    if format_ == "har":
        click.echo(json.dumps(as_har(cases, target), indent=2, ensure_ascii=False))
    else:
        click.echo(as_curl(cases, target), nl=False)


for _command in (run, record, redact, accept):
    replay.add_command(_command)
