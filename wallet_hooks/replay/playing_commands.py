"""`wallet-hooks replay run` and `accept`: what plays cases."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.ledger import currencies
from wallet_hooks.replay import reports
from wallet_hooks.replay.fixture import Sequence as Cases
from wallet_hooks.replay.fixture import read_cases, write_cases
from wallet_hooks.replay.running import Played, RunOptions, play_all, play_blindly
from wallet_hooks.replay.selecting import DIFFERENT, FILTER, OUTPUT, PATHS, secret_at, selected
from wallet_hooks.replay.stage import SigningKey, Stages, stages, throw_away_stages
from wallet_hooks.replay.targets import InProcess, Remote
from wallet_hooks.settings import Settings

_SPEEDS = {"max": None, "1x": 1.0, "10x": 10.0}


@click.command()
@PATHS
@click.option("--target", metavar="URL", help="A service to send to, instead of one in this process.")
@click.option("--in-process", is_flag=True, help="On a throw-away database in this process; the default.")
@click.option("--database", metavar="URL", help="What is given is put there, and balances are read there.")
@FILTER
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
@click.option("--junit", type=OUTPUT, metavar="FILE")
@click.option("--json", "json_file", type=OUTPUT, metavar="FILE")
@click.option("--html", type=OUTPUT, metavar="FILE")
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
    options = RunOptions(recorded, _SPEEDS[speed], parallel, duplicate, shuffle, _proof(sign))
    sequences = selected(paths, filters)
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
    sequences: Sequence[Cases], options: RunOptions, target: str | None, database: str | None
) -> Iterator[Played]:
    remote = Remote(_url(target), connections=options.parallel) if target else None
    with _stages(target, database) as found, closing(remote) if remote else nullcontext():
        if found is not None:
            yield from play_all(sequences, found, options, remote=remote)
        else:
            assert remote is not None
            yield from play_blindly(sequences, options, remote)


@click.command()
@PATHS
@FILTER
def accept(paths: tuple[Path, ...], filters: tuple[str, ...]) -> None:
    """Run cases in process, and write what they are answered into their fixtures."""
    actual: dict[tuple[Path, int], dict[str, Any]] = {}
    impossible = False
    with throw_away_stages() as stages:
        for one in play_all(selected(paths, filters), stages, RunOptions(second_pass=False)):
            if any(mismatch.what.startswith("given") for mismatch in one.mismatches):
                impossible = True
                click.echo(f"{one.case.where}: what is given cannot be; nothing is accepted")
            elif not one.passed:
                actual[one.case.path, one.case.line] = {"expect": _accepted(one)}
                click.echo(f"{one.case.where}: {', '.join(mismatch.what for mismatch in one.mismatches)}")
    for path in dict.fromkeys(path for path, _ in actual):
        write_cases(path, [case.document | actual.get((path, case.line), {}) for case in list(read_cases(path))])
    click.echo(f"{len(actual)} cases changed", err=True)
    sys.exit(DIFFERENT if impossible else 0)


def _accepted(one: Played) -> dict[str, Any]:
    """What was expected, with what was found in its place."""
    return {name: one.actual.get(name, value) for name, value in one.case.expect.items()} | {
        "status": one.actual.get("status", one.case.expect["status"])
    }


def _stages(target: str | None, database: str | None) -> AbstractContextManager[Stages | None]:
    if database is None:
        return throw_away_stages() if target is None else nullcontext(None)
    settings = replace(Settings.from_env(), database_url=database)
    return stages(settings, lambda stage: currencies.register_on_first_use(stage.engine), durable=True)


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


def _proof(sign: str | None) -> SigningKey | None:
    if sign is None:
        return None
    auth, _, reference = sign.partition("=")
    if auth not in AUTHENTICATIONS:
        raise click.UsageError(f"--sign: an authentication is one of {', '.join(AUTHENTICATIONS)}")
    return SigningKey(auth, secret_at(reference).decode())
