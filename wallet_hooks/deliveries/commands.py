"""`wallet-hooks deliveries …`."""

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.deliveries import service
from wallet_hooks.settings import Settings

_BATCH = 1000


@click.group()
def deliveries() -> None:
    """Manage stored callbacks."""


@deliveries.command()
@click.option(
    "--older-than",
    type=click.IntRange(1, 36_500),
    metavar="DAYS",
    help="Age in days. Default: WALLET_HOOKS_RETENTION_DAYS.",
)
@click.pass_obj
def prune(engine: Engine, older_than: int | None) -> None:
    """Delete callbacks older than the retention, in batches of 1000. Wagers and the ledger are not affected."""
    days = older_than or Settings.from_env().retention_days
    now, total = clock.now(), 0
    while True:
        with writing(engine) as session:
            count = service.prune(session, now=now, retention_days=days, at_most=_BATCH)
        total += count
        if count < _BATCH:
            break
    click.echo(f"{total} deliveries deleted")
