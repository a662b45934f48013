"""The command `wallet-hooks db`: migrates and checks the database schema."""

from collections.abc import Iterator

import click
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

from wallet_hooks.database.engine import open_engine
from wallet_hooks.database.guards import database_problem
from wallet_hooks.database.migrating import downgrade, upgrade
from wallet_hooks.database.revisions import current_revision, schema_problem
from wallet_hooks.database.transactions import reading
from wallet_hooks.settings import Settings


@click.group()
def db() -> None:
    """Migrate and check the database schema."""


@db.command("upgrade")
@click.argument("revision", default="head")
@click.pass_obj
def db_upgrade(engine: Engine, revision: str) -> None:
    """Migrate the database that WALLET_HOOKS_MIGRATION_DATABASE_URL names, otherwise WALLET_HOOKS_DATABASE_URL."""
    try:
        upgrade(engine, revision, waiting=_report_waiting, progress=_report_schema)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    click.echo("migrated")


@db.command("downgrade")
@click.argument("revision")
@click.confirmation_option(prompt="This deletes the data of the undone migrations. Continue?")
@click.pass_obj
def db_downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to REVISION (base: all)."""
    before = _revision(engine)
    try:
        downgrade(engine, revision, waiting=_report_waiting, progress=_report_schema)
    except CommandError as error:
        raise click.ClickException(str(error)) from None
    click.echo("nothing to undo" if _revision(engine) == before else "undone")


@db.command("check")
def db_check() -> None:
    """Check what the service sees: migrations, layout, the brands' schemas, tables, and what guards the ledger.

    Uses WALLET_HOOKS_DATABASE_URL, because the role that migrates may see more.
    """
    engine = open_engine(Settings.from_env())
    try:
        with engine.connect() as connection:
            problem = next(filter(None, _problems(connection)), None)
    finally:
        engine.dispose()
    if problem is not None:
        raise click.ClickException(problem)
    click.echo("no problem found")


def _revision(engine: Engine) -> str | None:
    with reading(engine) as session:
        return current_revision(session)


def _problems(connection: Connection) -> Iterator[str | None]:
    with Session(connection) as session:
        yield schema_problem(current_revision(session))
    yield database_problem(connection)


def _report_waiting() -> None:
    click.echo("waiting for another process to finish migrating", err=True)


def _report_schema(schema: str, number: int, count: int) -> None:
    click.echo(f"{schema} ({number} of {count})", err=True)
