"""`wallet-hooks replay run` and `accept`: the commands that run cases."""

import json
import signal
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.ledger import currencies
from wallet_hooks.replay import reports
from wallet_hooks.replay.case_database import DatabaseFactory, SigningKey, database_factory, temporary_database_factory
from wallet_hooks.replay.fixture import CaseSequence, read_cases, write_cases
from wallet_hooks.replay.processes import CASES_PER_PART, run_in_processes
from wallet_hooks.replay.reports import Run
from wallet_hooks.replay.running import CaseResult, RunOptions, run_sequences, run_without_database
from wallet_hooks.replay.selecting import (
    EXIT_BAD_USAGE,
    EXIT_DIFFERENT,
    FILTER,
    OUTPUT,
    PATHS,
    exit_with,
    read_secret_option,
    select_cases,
)
from wallet_hooks.replay.targets import InProcess, Remote
from wallet_hooks.settings import Settings
from wallet_hooks.text_checks import is_web_url

_LONG_RUN = 2 * CASES_PER_PART  # cases; such a run shows its progress, and uses all processors
_SPEEDS = {"max": None, "1x": 1.0, "10x": 10.0}


@click.command()
@PATHS
@click.option("--target", metavar="URL", help="Send to this service, instead of one in this process.")
@click.option("--in-process", is_flag=True, help="Run in this process on a temporary database; the default.")
@click.option("--database", metavar="URL", help="Load preconditions into this database, and read balances from it.")
@FILTER
@click.option(
    "--speed", type=click.Choice(list(_SPEEDS)), default="max", show_default=True, help="Against the recorded times."
)
@click.option(
    "--clock", "clock_", type=click.Choice(["recorded", "now"]), help="Default: recorded in process, else now."
)
@click.option(
    "--parallel",
    type=click.IntRange(1, 64),
    default=1,
    metavar="N",
    help="Of a capture, run N customers concurrently.",
)
@click.option("--duplicate", type=click.IntRange(1, 100), default=1, metavar="N", help="Send each request N times.")
@click.option("--shuffle", type=int, metavar="SEED", help="Shuffle cases, and interleave customers within captures.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first case that fails.")
@click.option("--sign", metavar="AUTH=REFERENCE", help="Sign for a --target, as in scout-jwt=env:NAME.")
@click.option("--junit", type=OUTPUT, metavar="FILE", help="Write a JUnit XML report.")
@click.option("--json", "json_file", type=OUTPUT, metavar="FILE", help="Write a JSON report.")
@click.option("--html", type=OUTPUT, metavar="FILE", help="Write a report as one HTML page.")
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
    """Run the cases of files and directories, and compare answers, balances and limits with what is expected.

    Exit status: 0 all as expected, 1 differences, 2 bad fixture or usage, 3 target unreachable, 5 nothing selected.
    """
    recorded = clock_ == "recorded" if clock_ else target is None
    _check_options(
        (target and in_process, "--target and --in-process exclude each other"),
        (parallel > 1 and recorded, "--parallel needs --clock now: all customers share one clock"),
        (parallel > 1 and speed != "max", "--parallel accepts only --speed max"),
        (
            sign and not target,
            "--sign needs --target: in process, requests are signed with the keys of their providers",
        ),
    )
    if target is not None:
        _check_url(target)
    _check_directories(junit, json_file, html)
    options = RunOptions(recorded, _SPEEDS[speed], parallel, duplicate, shuffle, _signing_key(sign))
    sequences = select_cases(paths, filters)
    if database and len(sequences) > 1:
        raise click.UsageError(
            f"--database: {len(sequences)} cases or captures selected, but each needs its own database; select one"
        )
    results: list[CaseResult] = []
    is_complete = False
    try:
        with (
            _ended_by_sigterm(),
            closing(_run(sequences, options, target, database, one_process=fail_fast)) as running,
            _progress(running, _count(sequences)) as progress,
        ):
            for result in progress:
                results.append(result)
                if not result.passed:
                    click.echo("\n".join(reports.describe_failure(result, target or InProcess.address)))
                    if fail_fast:
                        break
            else:
                is_complete = True
    finally:
        ended = Run(results, is_complete)
        unchecked = "; balances and the ledger were not checked (--database)" if target and not database else ""
        try:
            _echo_summary(ended, unchecked)
        finally:  # also where nobody reads the summary any more
            _write_reports(ended, target or InProcess.address, junit, json_file, html)
    sys.exit(EXIT_DIFFERENT if ended.failed else 0)


def _check_options(*wrong: tuple[object, str]) -> None:
    """Raise UsageError with the reason of the first combination that is given."""
    for is_given, why in wrong:
        if is_given:
            raise click.UsageError(why)


def _check_directories(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.resolve().parent.is_dir():
            raise click.UsageError(f"{file}: its directory does not exist")


def _echo_summary(ended: Run, unchecked: str) -> None:
    count, early = len(ended.results), "" if ended.is_complete else "; the run ended early"
    summary = f"{count} cases: {count - ended.failed} passed, {ended.failed} failed{unchecked}{early}"
    is_good = ended.is_complete and not ended.failed
    click.echo(click.style(summary, fg="green" if is_good else "red", bold=True))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End the block on SIGTERM as on Ctrl-C: temporary databases are removed, and workers end."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _count(sequences: Sequence[CaseSequence]) -> int:
    return sum(len(sequence.cases) for sequence in sequences)


def _progress(results: Iterator[CaseResult], count: int) -> AbstractContextManager[Iterable[CaseResult]]:
    """Show a progress bar of a long run on a terminal. Other output is the same with and without it."""
    hidden = count < _LONG_RUN or not sys.stderr.isatty()
    return click.progressbar(results, length=count, label="cases", file=sys.stderr, hidden=hidden)


def _run(
    sequences: Sequence[CaseSequence],
    options: RunOptions,
    target: str | None,
    database: str | None,
    *,
    one_process: bool,
) -> Generator[CaseResult]:
    in_order = one_process or options.parallel > 1 or options.speed is not None or options.shuffle is not None
    if target is None and database is None and not in_order and _count(sequences) >= _LONG_RUN:
        yield from run_in_processes(sequences, options)
        return
    remote = Remote(target, connections=options.parallel) if target else None
    with _database_factory(target, database) as new_database, closing(remote) if remote else nullcontext():
        if new_database is not None:
            yield from run_sequences(sequences, new_database, options, remote=remote)
        else:
            assert remote is not None
            yield from run_without_database(sequences, options, remote)


@click.command()
@PATHS
@FILTER
def accept(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Run cases in process, and write the actual answers, balances and limits into their fixtures."""
    actual: dict[tuple[Path, int], dict[str, Any]] = {}
    has_invalid = False
    with _ended_by_sigterm(), temporary_database_factory() as new_database:
        for result in run_sequences(select_cases(paths, filters), new_database, RunOptions(second_pass=False)):
            if any(mismatch.what.startswith("given") for mismatch in result.mismatches):
                has_invalid = True
                click.echo(f"{result.case.where}: invalid preconditions; case not changed")
            elif not result.passed:
                actual[result.case.path, result.case.line] = {"expect": _accepted(result)}
                click.echo(f"{result.case.where}: {', '.join(mismatch.what for mismatch in result.mismatches)}")
    for path in dict.fromkeys(path for path, _ in actual):
        write_cases(path, [case.document | actual.get((path, case.line), {}) for case in list(read_cases(path))])
    click.echo(f"{len(actual)} cases changed", err=True)
    sys.exit(EXIT_DIFFERENT if has_invalid else 0)


def _accepted(result: CaseResult) -> dict[str, Any]:
    """Return the case's `expect` with the actual values in place of the expected ones."""
    return {name: result.actual.get(name, value) for name, value in result.case.expect.items()} | {
        "status": result.actual.get("status", result.case.expect["status"])
    }


def _database_factory(target: str | None, database: str | None) -> AbstractContextManager[DatabaseFactory | None]:
    if database is None:
        return temporary_database_factory() if target is None else nullcontext(None)
    settings = replace(Settings.from_env(), database_url=database)
    return database_factory(settings, lambda opened: currencies.register_on_first_use(opened.engine), durable=True)


def _write_reports(ended: Run, address: str, junit: Path | None, json_file: Path | None, html: Path | None) -> None:
    """Write the reports that are asked for. Exits with status 2 if one cannot be written."""
    try:
        if junit is not None:
            junit.write_bytes(reports.as_junit(ended))
        if json_file is not None:
            json_file.write_text(json.dumps(reports.as_json(ended), indent=2, ensure_ascii=False) + "\n", "utf-8")
        if html is not None:
            html.write_text(reports.as_html(ended, address), "utf-8")
    except OSError as error:
        exit_with(f"{error.filename or 'report'}: {error.strerror or error}", EXIT_BAD_USAGE)


def _check_url(target: str) -> None:
    if not is_web_url(target):
        raise click.UsageError(f"--target {target!r}: expected a URL such as http://127.0.0.1:8000")


def _signing_key(sign: str | None) -> SigningKey | None:
    if sign is None:
        return None
    auth, _, reference = sign.partition("=")
    if auth not in AUTHENTICATIONS:
        raise click.UsageError(f"--sign {auth}: unknown authentication; accepted: {', '.join(AUTHENTICATIONS)}")
    return SigningKey(auth, read_secret_option(reference).decode())
