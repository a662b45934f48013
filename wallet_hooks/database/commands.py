"""`wallet-hooks db`: the database's schema."""

import click
from alembic.util import CommandError
from sqlalchemy import Engine

from wallet_hooks.database.migrating import downgrade, upgrade


@click.group()
def db() -> None:
    """The database's schema."""


@db.command("upgrade")
@click.argument("revision", default="head")
@click.pass_obj
def db_upgrade(engine: Engine, revision: str) -> None:
    """Migrate the database that WALLET_HOOKS_DATABASE_URL names."""
    try:
        upgrade(engine, revision, waiting=_say_waiting)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    click.echo("migrated")


@db.command("downgrade")
@click.argument("revision")
@click.confirmation_option(prompt="This deletes what the undone migrations stored. Go on?")
@click.pass_obj
def db_downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to REVISION (base: all)."""
    try:
        downgrade(engine, revision, waiting=_say_waiting)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    click.echo("undone")


def _say_waiting() -> None:
    click.echo("waiting for another process that migrates", err=True)
