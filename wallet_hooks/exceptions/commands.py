"""`wallet-hooks exceptions …`."""

from typing import Any

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import each_brand, engine_with_row
from wallet_hooks.exceptions import service
from wallet_hooks.exceptions.models import CallbackException
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, FieldType
from wallet_hooks.web.fields import Reason


@click.group()
def exceptions() -> None:
    """Exceptions: bets and payments that staff must look at."""


@exceptions.command("list")
@click.option("--all", "include_resolved", is_flag=True, help="Include resolved exceptions.")
@JSON
@click.pass_obj
def list_exceptions(engine: Engine, include_resolved: bool, as_json: bool) -> None:
    """List exceptions of bets and of payments, oldest first."""
    rows: list[dict[str, Any]] = []
    for own in each_brand(engine):
        with reading(own) as session:
            rows += service.list_exceptions(session, include_resolved=include_resolved)
    echo_rows(rows, as_json=as_json, line=_line, empty="no exceptions")


def _line(row: dict[str, Any]) -> str:
    state = f"resolved: {row['reason']}" if row["resolved_at"] else "open"
    about = f"{row['game']}:{row['brand']}:{row['bet']}"
    if row["payment"] is not None:
        about = f"payment {row['payment']} of {row['brand']}"
    return f"{row['id']:>6}  {row['raised_at']}  {row['kind']:<24} {about}  {row['subject']}  {state}"


@exceptions.command()
@click.argument("id_", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@click.option("--reason", type=FieldType(Reason()), required=True, help="Stored with the exception.")
@click.pass_obj
def resolve(engine: Engine, id_: int, reason: str) -> None:
    """Resolve an exception."""
    with writing(engine_with_row(engine, CallbackException, id_)) as session:
        service.resolve_exception(session, id_, reason=reason, now=clock.now())
    click.echo(f"exception {id_} resolved")
