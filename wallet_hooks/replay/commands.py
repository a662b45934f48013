"""`wallet-hooks replay`: run, record, list, show, diff, lint, redact, convert, accept."""

import difflib
import json
import sys
from pathlib import Path
from typing import Any

import click

from wallet_hooks.database import DATABASE_ERRORS, Fault, fault_of, first_line, is_misconfigured
from wallet_hooks.listing import echo_lines
from wallet_hooks.options import JSON
from wallet_hooks.replay import reports
from wallet_hooks.replay.capture_commands import record, redact
from wallet_hooks.replay.converting import as_curl, as_har
from wallet_hooks.replay.fixture import Case, FixtureError, find_bets, read_cases
from wallet_hooks.replay.linting import find_secrets
from wallet_hooks.replay.processes import prepare_process
from wallet_hooks.replay.run_commands import accept, run
from wallet_hooks.replay.selecting import (
    EXIT_BAD_USAGE,
    EXIT_DIFFERENT,
    EXIT_UNREACHABLE,
    FILE,
    FILTER,
    PATHS,
    exit_with,
    select_cases,
)
from wallet_hooks.replay.targets import ClockError, InProcess, UnreachableError


class _ReplayGroup(click.Group):
    """Reports an error of a fixture or a target as one line, with its own exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (FixtureError, ClockError) as error:
            exit_with(str(error), EXIT_BAD_USAGE)
        except UnreachableError as error:
            exit_with(f"unreachable: {error}", EXIT_UNREACHABLE)
        except DATABASE_ERRORS as error:
            if fault_of(error) is not Fault.LOST or is_misconfigured(error):
                raise
            exit_with(f"unreachable: {first_line(error)}", EXIT_UNREACHABLE)


@click.group(cls=_ReplayGroup)
def replay() -> None:
    """Run fixtures of callbacks against a service, and record fixtures from stored callbacks."""
    prepare_process()


@replay.command("list")
@PATHS
@FILTER
@JSON
def list_(paths: tuple[Path, ...], filters: tuple[str, ...], as_json: bool) -> None:
    """List cases: name, path, status, bets and tags."""
    cases = (case for sequence in select_cases(paths, filters) for case in sequence.cases)
    if as_json:
        for case in cases:
            click.echo(json.dumps(_row(case)))
    else:
        echo_lines(map(_line, cases), empty="no cases")


@replay.command()
@PATHS
@FILTER
def show(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Show the full cases, each with a curl command."""
    for sequence in select_cases(paths, filters):
        for case in sequence.cases:
            click.echo(click.style(case.where, bold=True))
            click.echo(json.dumps(case.document, indent=2, ensure_ascii=False))
            click.echo(reports.curl(case, InProcess.address))


@replay.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
def diff(before: Path, after: Path) -> None:
    """Compare the cases of two files by name. Exit status 1 if they differ."""
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
    sys.exit(EXIT_DIFFERENT if different else 0)


def _row(case: Case) -> dict[str, Any]:
    return {
        "name": case.name,
        "where": case.where,
        "path": case.request["path"],
        "status": case.expect["status"],
        "bets": [bet["bet"] for bet in find_bets(case.request)],
        "tags": case.tags,
        "description": case.document.get("description"),
    }


def _line(case: Case) -> str:
    row = _row(case)
    line = f"{row['status']} {row['path']:<12} {case.name:<48} {','.join(row['bets']):<20} {' '.join(case.tags)}"
    return reports.printable(line.replace("\n", " "))


def _by_name(path: Path) -> dict[str, Case]:
    """Return the cases of a file by name. Raises FixtureError for a duplicate name."""
    found: dict[str, Case] = {}
    for case in read_cases(path):
        if case.name in found:
            raise FixtureError(case.where, f"duplicate name {case.name}, first used in line {found[case.name].line}")
        found[case.name] = case
    return found


@replay.command()
@PATHS
def lint(paths: tuple[Path, ...]) -> None:
    """Check fixtures against the schema, and for anything that looks like a secret. Exit status 1 if there is any."""
    count = found = 0
    for sequence in select_cases(paths, ()):
        for case in sequence.cases:
            count += 1
            for finding in find_secrets(case):
                found += 1
                click.echo(f"{case.where}: {finding}")
    click.echo(f"{count} cases, {found} findings", err=True)
    sys.exit(EXIT_DIFFERENT if found else 0)


@replay.command()
@PATHS
@FILTER
@click.option("--to", "format_", type=click.Choice(["har", "curl"]), required=True, help="What to write.")
@click.option(
    "--target", default=InProcess.address, show_default=True, metavar="URL", help="The service that it is for."
)
def convert(paths: tuple[Path, ...], filters: tuple[str, ...], format_: str, target: str) -> None:
    """Write cases to standard output as an HTTP archive (HAR) or as curl commands."""
    cases = [case for sequence in select_cases(paths, filters) for case in sequence.cases]
    if format_ == "har":
        click.echo(json.dumps(as_har(cases, target), indent=2, ensure_ascii=False))
    else:
        click.echo(as_curl(cases, target), nl=False)


for _command in (run, record, redact, accept):
    replay.add_command(_command)
