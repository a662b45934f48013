"""The command line `wallet-hooks`, with the commands of all packages.

Exit status: 0 done, 1 refused, 2 wrong usage or configuration.
"""

import importlib
import os
import sys
from typing import NoReturn

import click
from sqlalchemy import Engine

from wallet_hooks import money
from wallet_hooks.database import DATABASE_ERRORS, describe, first_line, is_misconfigured, open_engine
from wallet_hooks.database.revisions import require_current_schema
from wallet_hooks.errors import WalletHooksError
from wallet_hooks.ledger import currencies
from wallet_hooks.settings import ConfigurationError, Settings

# The module of each command. It is imported only when the command is run, which halves the start-up time of most.
_COMMANDS = {
    **dict.fromkeys(("brand", "provider", "token"), "identity.commands"),
    # Adds `customer show`, with limits and wallets, to customers.commands.
    **dict.fromkeys(("customer", "vendor"), "accounts_api.commands"),
    "group": "customers.group_commands",
    "bookie": "bookies.commands",
    "cashier": "cashier.commands",
    "betslips": "betslips.commands",
    "limit": "limits.commands",
    **dict.fromkeys(("wager", "event"), "sportsbook.commands"),
    "exceptions": "exceptions.commands",
    "deliveries": "deliveries.commands",
    **dict.fromkeys(("rate", "rates"), "ledger.commands"),
    **dict.fromkeys(("verify", "close", "reopen"), "finance.commands"),
    "export": "finance.report_commands",
    "reconcile": "finance.reconcile_commands",
    "replay": "replay.commands",
    "staff": "console.commands",
    "db": "database.commands",
    "demo": "demo",
}


class LazyCommands(click.Group):
    """Imports a command's module when the command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"wallet_hooks.{_COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wallet-hooks")
@click.pass_context
def cli(context: click.Context) -> None:
    """The operator's side of a sportsbook. Settings are environment variables WALLET_HOOKS_…"""
    settings = Settings.from_env()
    currencies.configure(settings)
    is_migrating = context.invoked_subcommand == "db"
    adds_schemas = settings.brand_schemas and context.invoked_subcommand == "brand"
    engine = context.with_resource(_EngineScope(open_engine(settings, for_migrations=is_migrating or adds_schemas)))
    if not is_migrating:
        require_current_schema(engine)
    currencies.register_on_first_use(engine)
    money.set_stored_reader(currencies.stored_reader(engine))
    context.obj = engine


class _EngineScope:
    """Closes the engine's connections when the command ends, and stops reading stored currencies from it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Engine:
        return self.engine

    def __exit__(self, *_: object) -> None:
        money.set_stored_reader(dict)
        self.engine.dispose()


def main() -> None:
    """Run the command line. An error prints one line to stderr and sets the exit status, without a traceback."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # belongs to the service: commands write no metrics
    try:
        cli(standalone_mode=True)
    except (ConfigurationError, money.CurrencyMismatchError) as error:
        _fail(str(error), status=2)
    except WalletHooksError as error:
        _fail(describe(error))
    except (UnicodeError, OverflowError, money.MoneyError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'output'}: {error.strerror or error}")
    except DATABASE_ERRORS as error:
        if is_misconfigured(error):
            _fail(f"database URL: {first_line(error)}", status=2)
        _fail(describe(error))


def _fail(message: str, *, status: int = 1) -> NoReturn:
    click.echo(f"wallet-hooks: {message.encode(errors='replace').decode()}", err=True)
    sys.exit(status)
