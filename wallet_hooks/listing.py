"""Prints lists for commands: one line per row, or one JSON array with `--json`."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

Row = dict[str, Any]


def echo_rows(rows: Iterable[Row], *, as_json: bool, line: Callable[[Row], str], empty: str) -> None:
    """Print rows while they are read: as a JSON array, or each formatted by `line`.

    Without rows, prints `[]`, or the text `empty` (`no customers`).
    """
    if as_json:
        _echo_array(rows)
    else:
        echo_lines(map(line, rows), empty=empty)


def echo_lines(lines: Iterable[str], *, empty: str) -> None:
    """Print lines, or the text `empty` if there are none."""
    is_empty = True
    for line in lines:
        is_empty = False
        click.echo(line)
    if is_empty:
        click.echo(empty)


def _echo_array(rows: Iterable[Row]) -> None:
    """Print a JSON array with one element per line."""
    separator = "["
    for row in rows:
        click.echo(f"{separator}{json.dumps(row)}", nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[" else "]")
