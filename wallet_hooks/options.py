"""An option that many commands share, and options that the schema fields of the HTTP APIs check."""

import sys
from typing import Any

import click
from marshmallow import fields

from wallet_hooks.text_checks import read_field


def read_password() -> str:
    """Return the first line of standard input."""
    return sys.stdin.readline().rstrip("\r\n")


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def of_customer(command: Any) -> Any:
    """Add the options that name a customer: `client` and `uid`."""
    command = click.option("--uid", required=True, help="The customer's id at the operator.")(command)
    return click.option("--brand", "client", required=True, help="The brand's client name.")(command)


class FieldType(click.ParamType[Any]):
    """An option whose text is read by a marshmallow field. Raises RefusedError (`bad_<option>`) with its message."""

    name = "text"

    def __init__(self, field: fields.Field[Any]) -> None:
        self.field = field

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return read_field(self.field, value, name=(param and param.name) or "value")
