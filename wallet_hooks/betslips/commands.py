"""The command `wallet-hooks betslips`."""

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import click
import simplejson
from sqlalchemy import Engine, select

from wallet_hooks import clock
from wallet_hooks.betslips import service
from wallet_hooks.betslips.following import Follower, is_stream_url
from wallet_hooks.betslips.models import Betslip, BetslipMessage
from wallet_hooks.betslips.queries import betslips_data, find_betslips, messages_of
from wallet_hooks.database import brand_engine, open_engine, reading, run_in_batches
from wallet_hooks.database.brand_commands import BrandFailures, each_brand, named_brands, pass_brand_engine
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.service import brand_by_client, check_game
from wallet_hooks.listing import echo_rows
from wallet_hooks.logs import start_logging
from wallet_hooks.options import JSON
from wallet_hooks.settings import Settings, TimeOuts, parse_address
from wallet_hooks.telemetry import serve_metrics

_BATCH = 1000
_TIMEOUT = 5.0  # seconds for each lock and statement of `follow`
_STOP_TIMEOUT = 5.0


@click.group()
def betslips() -> None:
    """Betslips of the trading platform."""


@betslips.command()
@click.argument("betslip_id")
@click.pass_obj
def show(engine: Engine, betslip_id: str) -> None:
    """Show a betslip's state and its messages as JSON, for each brand and game that has it."""
    found = [row for own in each_brand(engine) for row in _found_rows(own, betslip_id)]
    if not found:
        raise NotFoundError(f"no betslip {betslip_id!r}")
    for row in found:
        click.echo(simplejson.dumps(row, use_decimal=True, indent=2))


def _found_rows(engine: Engine, betslip_id: str) -> list[dict[str, Any]]:
    rows = []
    with reading(engine) as session:
        found = find_betslips(session, betslip_id)
        for betslip, data in zip(found, betslips_data(session, found), strict=True):
            row = {"brand": session.get_one(Brand, betslip.brand_id).client, **data}
            row["messages"] = [_message_row(stored) for stored in messages_of(session, betslip)]
            rows.append(row)
    return rows


@betslips.command("list")
@click.option("--brand", "client", help="Only this brand's.")
@click.option("--open/--closed", "is_open", default=None, help="Only open or only closed ones.")
@JSON
@pass_brand_engine
def list_(engine: Engine, client: str | None, is_open: bool | None, as_json: bool) -> None:
    """List betslips, oldest first."""
    engines = each_brand(engine) if client is None else (engine,)
    echo_rows(
        (row for own in engines for row in _listed_rows(own, client, is_open)),
        as_json=as_json,
        line=lambda row: (
            f"{row['brand']:<16} {row['game']:<12} {row['betslip_id']:<34}"
            f" {'open' if row['is_open'] else 'closed'}  {row['changed_at']}"
        ),
        empty="no betslips",
    )


def _listed_rows(engine: Engine, client: str | None, is_open: bool | None) -> Iterator[dict[str, Any]]:
    query = select(Betslip, Brand.client).join(Brand, Brand.id == Betslip.brand_id).order_by(Betslip.id)
    if is_open is not None:
        query = query.where(Betslip.is_open == is_open)
    with reading(engine) as session:
        if client is not None:
            query = query.where(Betslip.brand_id == brand_by_client(session, client).id)
        for betslip, brand in session.execute(query.execution_options(yield_per=_BATCH)):
            yield _row(betslip, brand)


@betslips.command()
@click.option(
    "--url", envvar="WALLET_HOOKS_FOLLOW_URL", required=True, help="ws:// or wss://; also from WALLET_HOOKS_FOLLOW_URL."
)
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--game", "games", required=True, multiple=True, help="May be given several times.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve Prometheus metrics there.")
@pass_brand_engine
def follow(engine: Engine, url: str, client: str, games: tuple[str, ...], metrics: str | None) -> None:
    """Take the messages of the platform's WebSocket stream for a brand and its games, until SIGTERM or SIGINT."""
    if not is_stream_url(url):
        raise RefusedError("bad_url", "url: ws:// or wss:// and a host are expected")
    address = None if metrics is None else parse_address(metrics)
    with reading(engine) as session:
        brand = brand_by_client(session, client)
        for game in games:
            check_game(session, brand, game)
    settings = Settings.from_env()
    start_logging(settings.log_level)
    if address is not None:
        serve_metrics(*address)
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        # A frame that is not committed by then is not taken, so the process may end while it waits.
        last_resort = threading.Timer(_STOP_TIMEOUT, os._exit, (0,))
        last_resort.daemon = True
        last_resort.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    scopes = [(brand.id, name) for name in games]
    bounded = open_engine(settings, time_outs=TimeOuts(_TIMEOUT, _TIMEOUT))
    Follower(brand_engine(bounded, brand.id), url, scopes, stopping).run()
    bounded.dispose()


@betslips.command()
@click.option(
    "--older-than", type=click.IntRange(1, 36_500), metavar="DAYS", help="Default: WALLET_HOOKS_BETSLIP_DAYS."
)
@click.pass_obj
def prune(engine: Engine, older_than: int | None) -> None:
    """Close betslips that nothing touched for the days, and delete closed ones with their messages."""
    days = older_than or Settings.from_env().betslip_days
    closed = total = 0
    failures = BrandFailures()
    for client, own in named_brands(engine):
        with failures.of(client):
            closed += run_in_batches(own, partial(service.close_stale, now=clock.now(), retention_days=days))
            total += run_in_batches(own, partial(service.prune, now=clock.now(), retention_days=days))
    click.echo(f"{total} betslips deleted, {closed} closed as stale")
    failures.end()


def _message_row(stored: BetslipMessage) -> dict[str, Any]:
    received_at = stored.received_at.isoformat()
    return {"type": stored.type, "ts": stored.ts, "received_at": received_at, "delivery": stored.delivery_id}


def _row(betslip: Betslip, brand: str) -> dict[str, Any]:
    return {
        "brand": brand,
        "game": betslip.game,
        "betslip_id": betslip.betslip_id,
        "is_open": betslip.is_open,
        "created_at": betslip.created_at.isoformat(),
        "changed_at": betslip.changed_at.isoformat(),
    }
