"""Choosing cases on the command line, and how its commands end."""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.secrets import check_reference, read_secret
from wallet_hooks.replay.fixture import Case, bets_of, read_sequences
from wallet_hooks.replay.fixture import Sequence as Cases

DIFFERENT, WRONG, UNREACHABLE, NOTHING = 1, 2, 3, 5
PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
FILTER = click.option(
    "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="path, bet, tag, status, from or to; repeatable."
)
OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def selected(paths: Sequence[Path], filters: Sequence[str]) -> list[Cases]:
    """The cases that all filters let through. Ends with exit 5 where there are none: nothing run is never green."""
    accepts = [_filter(text) for text in filters]
    found = [
        sequence._replace(cases=kept)
        for sequence in read_sequences(paths)
        if (kept := list(_kept(sequence.cases, lambda case: all(accept(case) for accept in accepts))))
    ]
    if not found:
        end("nothing selected", NOTHING)
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
            for name in ("brands", "customers", "limits", "rates", "countries"):
                if name in case.given:
                    given[name] = [*given.get(name, ()), *case.given[name]]


def _filter(text: str) -> Callable[[Case], bool]:
    key, equals, value = text.partition("=")
    if not equals or key not in ("path", "bet", "tag", "status", "from", "to"):
        raise click.UsageError(f"--filter {text}: path, bet, tag, status, from or to, and =VALUE")
    if key in ("from", "to"):
        instant = read_time("--filter", value)
        assert instant is not None
        return lambda case: case.at is not None and (case.at >= instant if key == "from" else case.at < instant)
    matches: dict[str, Callable[[Case], bool]] = {
        "path": lambda case: case.request["path"] == value,
        "bet": lambda case: any(bet["bet"] == value for bet in bets_of(case.request)),
        "tag": lambda case: value in case.tags,
        "status": lambda case: str(case.expect["status"]) == value,
    }
    return matches[key]


def secret_at(reference: str) -> bytes:
    try:
        secret = read_secret(check_reference(reference))
    except RefusedError as error:
        raise click.UsageError(str(error)) from None
    if secret is None:
        raise click.UsageError(f"there is no secret at {reference}")
    return secret.encode()


def read_time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{option}: a time such as 2026-11-21T12:00:00Z is expected") from None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def end(message: str, status: int) -> Any:
    click.echo(f"wallet-hooks: {message}", err=True)
    sys.exit(status)
