"""Shared parts of the replay commands: selecting cases, reading options, exit statuses."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import click

from wallet_hooks import clock
from wallet_hooks.betslips.intake import MESSAGES_PATH
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.secrets import check_reference, read_secret
from wallet_hooks.replay.fixture import Case, CaseSequence, find_bets, read_sequences

EXIT_DIFFERENT, EXIT_BAD_USAGE, EXIT_UNREACHABLE, EXIT_NOTHING = 1, 2, 3, 5
PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
FILTER = click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="KEY is path, bet, tag, status, from or to; repeatable.",
)
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_STATUS = re.compile(r"[1-5][0-9]{2}")


def select_cases(paths: Sequence[Path], filters: Sequence[str]) -> list[CaseSequence]:
    """Return the cases that match all filters. Exits with status 5 if none does: an empty run is not a success."""
    accepts = [_parse_filter(text) for text in filters]
    found = [
        sequence._replace(cases=kept)
        for sequence in read_sequences(paths)
        if (kept := list(_select(sequence.cases, lambda case: all(accept(case) for accept in accepts))))
    ]
    if not found:
        exit_with("nothing selected", EXIT_NOTHING)
    return found


def _select(cases: Sequence[Case], accepts: Callable[[Case], bool]) -> Iterator[Case]:
    """Yield the accepted cases of a capture.

    Preconditions of skipped cases are added to the next accepted one, and skipped betslip messages as earlier requests.
    """
    given: dict[str, list[Any]] = {}
    for case in cases:
        if accepts(case):
            merged = {name: [*items, *case.given.get(name, ())] for name, items in given.items()}
            yield case._replace(document=case.document | {"given": case.given | merged}) if merged else case
            given = {}
        else:
            for name, items in _lasting(case).items():
                given[name] = [*given.get(name, ()), *items]


def _lasting(case: Case) -> dict[str, list[Any]]:
    """Return the preconditions that a skipped case leaves to the cases after it."""
    names = ("brands", "customers", "limits", "rates", "countries", "betslips", "requests")
    lasting = {name: case.given[name] for name in names if name in case.given}
    if case.request["path"] == MESSAGES_PATH:
        sent_at = {"at": case.document["at"]} if "at" in case.document else {}
        lasting["requests"] = [*lasting.get("requests", ()), case.request | sent_at | {"status": case.expect["status"]}]
    return lasting


def _parse_filter(text: str) -> Callable[[Case], bool]:
    key, equals, value = text.partition("=")
    if not equals or key not in ("path", "bet", "tag", "status", "from", "to"):
        raise click.UsageError(f"--filter {text}: expected KEY=VALUE, with the key path, bet, tag, status, from or to")
    if key in ("from", "to"):
        instant = read_time("--filter", value)
        assert instant is not None
        return lambda case: case.at is not None and (case.at >= instant if key == "from" else case.at < instant)
    if key == "status" and not _STATUS.fullmatch(value):
        raise click.UsageError(f"--filter {text}: an HTTP status such as 402 is expected")
    matches: dict[str, Callable[[Case], bool]] = {
        "path": lambda case: case.request["path"] == value,
        "bet": lambda case: any(bet["bet"] == value for bet in find_bets(case.request)),
        "tag": lambda case: value in case.tags,
        "status": lambda case: str(case.expect["status"]) == value,
    }
    return matches[key]


def read_secret_option(reference: str) -> bytes:
    """Return the secret that a reference (`env:NAME`, `file:PATH`) points to. Raises UsageError."""
    try:
        secret = read_secret(check_reference(reference))
    except RefusedError as error:
        raise click.UsageError(str(error)) from None
    if secret is None:
        raise click.UsageError(f"no secret found at {reference}")
    return secret.encode()


def read_time(option: str, text: str | None) -> datetime | None:
    """Return the UTC time of an option's value; a time without an offset is UTC. Raises UsageError."""
    if text is None:
        return None
    try:
        return clock.parse_instant(text)
    except ValueError:
        raise click.UsageError(f"{option} {text}: an ISO 8601 time such as 2026-11-21T12:00:00Z is expected") from None


def exit_with(message: str, status: int) -> NoReturn:
    click.echo(f"wallet-hooks: {message}", err=True)
    sys.exit(status)
