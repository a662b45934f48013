"""Command-line options that are checked by the schema fields of the HTTP APIs, so that each rule is stated once."""

from typing import Any

import click
from marshmallow import ValidationError, fields


class FieldType(click.ParamType[Any]):
    """An option whose text is read by a marshmallow field; its messages are usage errors."""

    def __init__(self, field: fields.Field[Any]) -> None:
        self.field = field
        self.name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.field.deserialize(value)
        except ValidationError as error:
            self.fail(" ".join(map(str, error.messages)), param, ctx)
