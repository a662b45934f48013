"""`wallet-hooks deliveries …`."""

from functools import partial

import click
from sqlalchemy import Engine

from wallet_hooks import clock
from wallet_hooks.database import has_brand_schemas, run_in_batches
from wallet_hooks.database.brand_commands import BrandFailures, named_brands
from wallet_hooks.deliveries import service
from wallet_hooks.settings import Settings


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
    prune_some = partial(service.prune, now=clock.now(), retention_days=days)
    total = run_in_batches(engine, prune_some) if has_brand_schemas(engine) else 0
    failures = BrandFailures()
    for client, own in named_brands(engine):
        with failures.of(client):
            total += run_in_batches(own, prune_some)
    click.echo(f"{total} deliveries deleted")
    failures.end()
