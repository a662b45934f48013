"""`wallet-hooks brand …` and `wallet-hooks provider …`."""

import json

import click
from sqlalchemy import Engine, select

from wallet_hooks.database import reading, writing
from wallet_hooks.identity import service
from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.identity.directory import CORRECTIONS
from wallet_hooks.identity.models import Brand, Provider

POLICIES = ("ukgc", "sweden", "germany", "ontario", "mga")


@click.group()
def brand() -> None:
    """Brands of the operator."""


@brand.command("add")
@click.option("--id", "id_", type=click.IntRange(1, 2**62), required=True, help="The brand's number.")
@click.option("--client", required=True, help="The brand's name at the providers.")
@click.option("--currency", required=True, help="ISO 4217 code.")
@click.option("--timezone", required=True, help="IANA name; accounting days follow it.")
@click.option("--day-start", default="00:00", show_default=True, help="When the accounting day starts, local time.")
@click.option("--policy", type=click.Choice(POLICIES), help="Preset of rules for players' limits.")
@click.option(
    "--corrections",
    type=click.Choice(CORRECTIONS),
    default="debt",
    show_default=True,
    help="What a correction does that takes back more than the customer has.",
)
@click.pass_obj
def add_brand(engine: Engine, /, id_: int, **facts: str) -> None:
    """Add a brand."""
    with writing(engine) as session:
        service.add_brand(session, id_=id_, **facts)
    click.echo(f"brand {facts['client']} added")


@brand.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_brands(engine: Engine, as_json: bool) -> None:
    """List the brands."""
    with reading(engine) as session:
        fields = ("id", "client", "currency", "timezone", "day_start", "policy")
        rows = [{f: getattr(b, f) for f in fields} for b in session.scalars(select(Brand).order_by(Brand.id))]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['id']:>8}  {row['client']:<20} {row['currency']}  {row['timezone']}")


@click.group()
def provider() -> None:
    """Providers that may call, and how they prove themselves."""


@provider.command("add")
@click.option("--game", required=True, help="The provider's game, such as betflex.")
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--auth", type=click.Choice(AUTHENTICATIONS), default="none", show_default=True)
@click.option("--secret", "secrets", multiple=True, metavar="env:NAME|file:PATH", help="Twice for rotation.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="Where calls may come from; anywhere by default.")
@click.pass_obj
def add_provider(
    engine: Engine, game: str, client: str, auth: str, secrets: tuple[str, ...], allow: tuple[str, ...]
) -> None:
    """Add a provider's game to a brand, or change how it proves itself. Without --auth: only from this machine."""
    with writing(engine) as session:
        service.add_provider(session, game=game, client=client, auth=auth, secrets=secrets, allow=allow)
    click.echo(f"provider {game} for {client}: {auth}")


@provider.command("list")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def list_providers(engine: Engine, as_json: bool) -> None:
    """List the providers; secrets are shown as the references that they are."""
    with reading(engine) as session:
        rows = [
            {"game": p.game, "brand": p.brand.client, "auth": p.auth, "secrets": p.secrets, "allow": p.allow}
            for p in session.scalars(select(Provider).order_by(Provider.id))
        ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        places = ", ".join(row["allow"]) or "anywhere"
        click.echo(f"{row['game']:<16} {row['brand']:<20} {row['auth']:<18} from {places}")
