"""How commands print lists: a row a line for people, or one JSON array for programs; an empty list says so."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import click

Row = dict[str, Any]


def echo_rows(rows: Iterable[Row], *, as_json: bool, line: Callable[[Row], str], empty: str) -> None:
    """Print rows as they come, however many there are: as a JSON array, or each as its `line`.

    Without rows it is `[]`, or the text `empty` (`no customers`).
    """
    if as_json:
        _echo_array(rows)
    else:
        echo_lines(map(line, rows), empty=empty)


def echo_lines(lines: Iterable[str], *, empty: str) -> None:
    """Print lines, or where there are none the text `empty`."""
    is_empty = True
    for line in lines:
        is_empty = False
        click.echo(line)
    if is_empty:
        click.echo(empty)


def _echo_array(rows: Iterable[Row]) -> None:
    """A JSON array, an element a line."""
    separator = "["
    for row in rows:
        click.echo(f"{separator}{json.dumps(row)}", nl=False)
        separator = ",\n"
    click.echo("[]" if separator == "[" else "]")
