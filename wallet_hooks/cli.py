"""`wallet-hooks`: each room's commands under one name. Exit 0 done, 1 refused, 2 wrong usage."""

import sqlite3
import sys
from typing import NoReturn

import click
import psycopg
from alembic.util import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import clock, demo, money
from wallet_hooks.bookies.commands import bookie
from wallet_hooks.cashier.commands import cashier
from wallet_hooks.customers.commands import customer, group
from wallet_hooks.database import fault_of, open_engine, writing
from wallet_hooks.database.migrating import downgrade, upgrade
from wallet_hooks.deliveries.commands import deliveries
from wallet_hooks.errors import WalletHooksError
from wallet_hooks.finance.commands import close, export, reconcile, reopen, verify
from wallet_hooks.identity.commands import brand, provider, token
from wallet_hooks.ledger.commands import rate
from wallet_hooks.limits.commands import limit
from wallet_hooks.settings import ConfigurationError, Settings
from wallet_hooks.sportsbook.commands import event, exceptions, wager


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wallet-hooks")
@click.pass_context
def cli(context: click.Context) -> None:
    """The operator's side of a sportsbook. Settings come from WALLET_HOOKS_… in the environment."""
    settings = Settings.from_env()
    money.add_currencies(settings.currencies)
    context.obj = context.with_resource(_Disposing(open_engine(settings)))


class _Disposing:
    """Closes the engine's connections when the command ends."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()


@cli.group()
def db() -> None:
    """The database's schema."""


@db.command("upgrade")
@click.argument("revision", default="head")
@click.pass_obj
def db_upgrade(engine: Engine, revision: str) -> None:
    """Migrate the database that WALLET_HOOKS_DATABASE_URL names."""
    upgrade(engine, revision)
    click.echo("migrated")


@db.command("downgrade")
@click.argument("revision")
@click.confirmation_option(prompt="This deletes what the undone migrations stored. Go on?")
@click.pass_obj
def db_downgrade(engine: Engine, revision: str) -> None:
    """Undo migrations down to REVISION (base: all)."""
    downgrade(engine, revision)
    click.echo("undone")


@cli.command("demo")
@click.option("--if-empty", is_flag=True, help="Do nothing where the demo is loaded already.")
@click.pass_obj
def load_demo(engine: Engine, if_empty: bool) -> None:
    """Load demo data: two brands, ten customers with funds, limits and credit."""
    with writing(engine) as session:
        if if_empty and demo.is_loaded(session):
            return
        demo.load(session, now=clock.now())
    click.echo("demo data loaded")


for _command in (
    brand,
    provider,
    customer,
    group,
    token,
    bookie,
    cashier,
    limit,
    wager,
    event,
    exceptions,
    deliveries,
    verify,
    close,
    reopen,
    export,
    reconcile,
    rate,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; what goes wrong is one line and an exit status, never a trace."""
    try:
        cli(standalone_mode=True)
    except ConfigurationError as error:
        _fail(str(error), status=2)
    except WalletHooksError as error:
        _fail(f"{error.code}: {error}")
    except (UnicodeError, OverflowError, CommandError, money.MoneyError) as error:
        _fail(str(error))
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        _fail(f"database ({fault_of(error).value}): {reason}")


def _fail(message: str, *, status: int = 1) -> NoReturn:
    click.echo(f"wallet-hooks: {message.encode(errors='replace').decode()}", err=True)
    sys.exit(status)
