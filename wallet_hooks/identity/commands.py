"""`wallet-hooks brand …`, `wallet-hooks provider …` and `wallet-hooks token …`."""

import json
from typing import Any, TextIO

import click
from sqlalchemy import Engine, select

from wallet_hooks import clock
from wallet_hooks.database import has_brand_schemas, reading, writing
from wallet_hooks.database.brand_schemas import schema_of
from wallet_hooks.database.citus import nodes_of_schemas
from wallet_hooks.identity import api_tokens, service
from wallet_hooks.identity.credentials import AUTHENTICATIONS
from wallet_hooks.identity.directory import CORRECTIONS
from wallet_hooks.identity.models import ApiToken, Brand, Provider
from wallet_hooks.identity.policy import PRESETS, rules_in_force
from wallet_hooks.identity.secrets import is_readable, is_short, shortest_safe
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON

_NO_PRESET = "none"


@click.group()
def brand() -> None:
    """Manage the operator's brands."""


@brand.command("add")
@click.option("--id", "id_", type=click.IntRange(1, 2**62), required=True, help="The brand's number.")
@click.option("--client", "--brand", "client", required=True, help="The brand's name at the providers.")
@click.option("--currency", required=True, help="ISO 4217 code.")
@click.option("--timezone", required=True, help="IANA name; accounting days follow it.")
@click.option("--day-start", default="00:00", show_default=True, help="When the accounting day starts, local time.")
@click.option("--policy", type=click.Choice(tuple(PRESETS)), help="Preset of rules for player limits.")
@click.option(
    "--corrections",
    type=click.Choice(CORRECTIONS),
    default="debt",
    show_default=True,
    help="What happens when a correction takes back more than the balance: leave a debt, or refuse it.",
)
@click.pass_obj
def add_brand(engine: Engine, /, id_: int, **facts: str) -> None:
    """Add a brand."""
    with writing(engine) as session:
        service.add_brand(session, id_=id_, **facts)
    click.echo(f"brand {facts['client']} added")


@brand.command("countries")
@click.option("--client", "--brand", "client", required=True, help="The brand's name at the providers.")
@click.option(
    "--allow", multiple=True, metavar="CODE", help="Allowed country, ISO 3166 code; repeatable. Others are denied."
)
@click.option("--deny", multiple=True, metavar="CODE", help="Denied country, ISO 3166 code; repeatable.")
@click.pass_obj
def countries(engine: Engine, client: str, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """Set the countries from which a brand's customers may bet; without options, all countries.

    A service without a GeoIP file (WALLET_HOOKS_GEOIP_FILE) refuses every bet of a brand with such rules.
    """
    with writing(engine) as session:
        service.set_countries(session, client=client, allow=allow, deny=deny)
    click.echo(f"{client}: allowed {', '.join(allow) or 'all'}; denied {', '.join(deny) or 'none'}")


@brand.command("policy")
@click.option("--client", "--brand", "client", required=True, help="The brand's name at the providers.")
@click.option(
    "--preset",
    type=click.Choice((*PRESETS, _NO_PRESET)),
    help="The regulator whose rules apply; without this option the brand keeps its preset.",
)
@click.argument("file", type=click.File(encoding="utf-8-sig"), required=False)
@click.pass_obj
def policy(engine: Engine, client: str, preset: str | None, file: TextIO | None) -> None:
    """Set a brand's rules for player limits: a preset, overridden by the rules in a JSON FILE.

    Example: {"cooldown": "72h", "week_start": "sunday", "caps": {"bet": {"EUR": "1000"}}}. Without FILE the brand keeps
    its own rules; with neither FILE nor --preset, the current policy is shown.
    """
    try:
        given: Any = None if file is None else json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"FILE: JSON in UTF-8 is expected: {error}") from None
    if preset is None and file is None:
        _show_policy(engine, client)
        return
    with writing(engine) as session:
        stored = service.brand_by_client(session, client, lock=True).policy
        preset = stored.get("preset") if preset is None else preset
        preset = None if preset == _NO_PRESET else preset
        rules = stored.get("limits", {}) if file is None else given
        service.set_policy(session, client=client, preset=preset, rules=rules)
    click.echo(f"{client}: {_preset(preset)}, {len(rules)} rules of its own")
    of_preset = PRESETS.get(preset or "", {})
    if replaced := sorted(name for name in rules if rules[name] != of_preset.get(name, rules[name])):
        click.echo(f"not as the regulator's preset says: {', '.join(replaced)}", err=True)


def _show_policy(engine: Engine, client: str) -> None:
    with reading(engine) as session:
        stored = service.brand_by_client(session, client).policy
    own = stored.get("limits", {})
    click.echo(f"{client}: {_preset(stored.get('preset'))}, {len(own)} rules of its own")
    for name, value in rules_in_force(stored.get("preset"), own).items():
        source = "own" if name in own else "preset"
        click.echo(f"{name:<20} {json.dumps(value)}  ({source})")


def _preset(name: str | None) -> str:
    return f"preset {name}" if name else "no preset"


@brand.command("list")
@JSON
@click.pass_obj
def list_brands(engine: Engine, as_json: bool) -> None:
    """List the brands."""
    with reading(engine) as session:
        fields = ("id", "client", "currency", "timezone", "day_start", "policy")
        rows = [{f: getattr(b, f) for f in fields} for b in session.scalars(select(Brand).order_by(Brand.id))]
        if has_brand_schemas(engine):
            nodes = nodes_of_schemas(session.connection())
            for row in rows:
                row["schema"] = schema_of(row["id"])
                row["node"] = nodes.get(row["schema"])
    echo_rows(rows, as_json=as_json, line=_brand_line, empty="no brands")


def _brand_line(row: dict[str, Any]) -> str:
    preset = _preset(row["policy"].get("preset"))
    place = "".join(f"  {row[name]}" for name in ("schema", "node") if row.get(name))
    return f"{row['id']:>8}  {row['client']:<20} {row['currency']}  {row['timezone']}  {preset}{place}"


@click.group()
def provider() -> None:
    """Manage the providers that may send callbacks, and their authentication."""


@provider.command("add")
@click.option("--game", required=True, help="The provider's game, such as betflex.")
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--auth", type=click.Choice(AUTHENTICATIONS), help="How it authenticates; a new one by default: none.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="env:NAME|file:PATH",
    help="Where the secret is; given twice, both are valid (rotation).",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NETWORK",
    help="Source network that callbacks may come from, or any; repeatable. A new one by default: any.",
)
@click.pass_obj
def add_provider(
    engine: Engine, game: str, client: str, auth: str | None, secrets: tuple[str, ...], allow: tuple[str, ...]
) -> None:
    """Add a provider's game to a brand, or change it: what is not given stays.

    With --auth none, only this machine may call.
    """
    with writing(engine) as session:
        added = service.add_provider(
            session, game=game, client=client, auth=auth, secrets=secrets or None, allow=_given_networks(allow)
        )
        row = _provider_row(added)
    click.echo(f"provider {game} for {client}: {row['auth']}, from {_allowed(row)}")
    for reference in row["unreadable"]:
        click.echo(f"warning: {reference} cannot be read here; the service must be able to read it", err=True)
    for reference in row["secrets"]:
        if is_short(reference, auth=row["auth"]):
            needed = f"at least {shortest_safe(row['auth'])} random characters are needed against guessing"
            click.echo(f"warning: the secret of {reference} is short; {needed}", err=True)


def _given_networks(allow: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the networks that are given, () for any, None without the option."""
    return () if allow == ("any",) else allow or None


@provider.command("list")
@JSON
@click.pass_obj
def list_providers(engine: Engine, as_json: bool) -> None:
    """List the providers. Of secrets only the references are shown, and which cannot be read by this command."""
    with reading(engine) as session:
        rows = [_provider_row(found) for found in session.scalars(select(Provider).order_by(Provider.id))]
    echo_rows(rows, as_json=as_json, line=_provider_line, empty="no providers")


def _provider_row(found: Provider) -> dict[str, Any]:
    return {
        "game": found.game,
        "brand": found.brand.client,
        "auth": found.auth,
        "secrets": found.secrets,
        "allow": found.allow,
        "unreadable": [reference for reference in found.secrets if not is_readable(reference)],
    }


def _provider_line(row: dict[str, Any]) -> str:
    unreadable = f"; not readable here: {', '.join(row['unreadable'])}" if row["unreadable"] else ""
    return f"{row['game']:<16} {row['brand']:<20} {row['auth']:<18} from {_allowed(row)}{unreadable}"


def _allowed(row: dict[str, Any]) -> str:
    return ", ".join(row["allow"]) or "anywhere"


@click.group()
def token() -> None:
    """Manage API tokens of machine callers: finance, cashier."""


@token.command("create")
@click.option(
    "--role",
    type=click.Choice(api_tokens.ROLES),
    required=True,
    help="finance: exports; cashier: payments; no endpoint accepts the others yet.",
)
@click.option("--brand", "client", help="The brand's client name; without it, all brands.")
@click.option("--name", default="", help="What the token is for; at most 100 characters. Default: the role.")
@click.pass_obj
def create_token(engine: Engine, role: str, client: str | None, name: str) -> None:
    """Create a token and print it. It cannot be shown again: only its hash is stored."""
    with writing(engine) as session:
        brand_id = None if client is None else service.brand_by_client(session, client).id
        created = api_tokens.create(session, name=name or role, role=role, brand_id=brand_id, now=clock.now())
    click.echo(created)


@token.command("list")
@JSON
@click.pass_obj
def list_tokens(engine: Engine, as_json: bool) -> None:
    """List the tokens and their last use. The tokens themselves are not stored."""
    with reading(engine) as session:
        clients = {one.id: one.client for one in session.scalars(select(Brand))}
        rows = [
            {
                "id": row.id,
                "name": row.name,
                "role": row.role,
                "brand_id": row.brand_id,
                "brand": None if row.brand_id is None else clients[row.brand_id],
                "created_at": row.created_at.isoformat(),
                "used_at": row.used_at.isoformat() if row.used_at else None,
                "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
            }
            for row in session.scalars(select(ApiToken).order_by(ApiToken.id))
        ]
    echo_rows(rows, as_json=as_json, line=_token_line, empty="no tokens")


def _token_line(row: dict[str, Any]) -> str:
    state = "revoked" if row["revoked_at"] else f"last used {row['used_at'] or 'never'}"
    brand = "" if row["brand"] is None else f"  for brand {row['brand']} alone"
    return f"{row['id']:>6}  {row['role']:<12} {row['name']:<24} {state}{brand}"


@token.command("revoke")
@click.argument("id_", metavar="ID", type=click.IntRange(1, 2**62))
@click.pass_obj
def revoke_token(engine: Engine, id_: int) -> None:
    """Revoke a token, effective at once."""
    with writing(engine) as session:
        api_tokens.revoke(session, id_, now=clock.now())
    click.echo(f"token {id_} revoked")
