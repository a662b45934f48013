"""Adds and changes brands and providers.

Commands and fixtures call it. No marshmallow schema checks its arguments: names, countries, secrets and rules are
checked here and in their own modules, choices (`corrections`, `auth`) by the command's options and the fixture schema.
"""

from collections.abc import Sequence
from datetime import time
from importlib import import_module
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.database import has_brand_schemas, locked
from wallet_hooks.database.brand_schemas import current_brand
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.identity.countries import check_countries
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.identity.policy import PRESETS, check_defaults, check_raises, read_policy, rules_in_force
from wallet_hooks.identity.secrets import check_reference
from wallet_hooks.ledger.currencies import store_currencies


def add_brand(
    session: Session,
    *,
    id_: int,
    client: str,
    currency: str,
    timezone: str,
    policy: str | None,
    corrections: str = "debt",
    day_start: str = "00:00",
) -> Brand:
    """Add a brand; `policy` is a preset. Raises ConflictError if id or client exists, RefusedError for a bad value."""
    _check_name(client, "client")
    money.check_offered(currency)
    try:
        ZoneInfo(timezone)
        time.fromisoformat(day_start)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RefusedError(
            "bad_value",
            f"time zone {timezone!r}, start of the day {day_start!r}: an IANA name and a time HH:MM are expected",
        ) from None
    has_schema = has_brand_schemas(session.get_bind().engine)
    if has_schema:
        _migrating().forbid_migrations(session.connection())
    if session.scalar(select(Brand).where(or_(Brand.id == id_, Brand.client == client))) is not None:
        raise ConflictError(f"a brand with id {id_} or client {client!r} already exists")
    rules = {"preset": policy, "corrections": corrections}
    brand = Brand(id=id_, client=client, currency=currency, timezone=timezone, day_start=day_start, policy=rules)
    session.add(brand)
    session.flush()
    store_currencies(session.connection(), [currency])
    if has_schema:
        _migrating().create_brand_schema(session.connection(), brand.id)
    return brand


def _migrating() -> Any:
    """Return the module that runs migrations; Alembic is slow to import, and most commands do without it."""
    return import_module("wallet_hooks.database.migrating")


def add_provider(
    session: Session,
    *,
    game: str,
    client: str,
    auth: str | None = None,
    secrets: Sequence[str] | None = None,
    allow: Sequence[str] | None = None,
) -> Provider:
    """Add a provider's game to a brand, or change it. Arguments that are None keep the provider's values.

    Another authentication method needs its secrets in the same call. A new provider has no authentication by default,
    and is accepted from any network. Raises NotFoundError, RefusedError.
    """
    _check_name(game, "game")
    brand = brand_by_client(session, client)
    query = select(Provider).where(Provider.game == game, Provider.brand_id == brand.id)
    provider = session.scalar(locked(query, Provider))
    if provider is None:
        provider = Provider(game=game, brand_id=brand.id, auth="none", secrets=[], allow=[])
        session.add(provider)
    auth = provider.auth if auth is None else auth
    if secrets is None:
        secrets = provider.secrets if auth == provider.auth else ()
    if (auth == "none") != (not secrets) or len(secrets) > 2:
        raise RefusedError(
            "bad_value", "secret: one is expected, or two for rotation; with authentication none, no secret is accepted"
        )
    provider.auth, provider.secrets = auth, [check_reference(reference) for reference in secrets]
    if allow is not None:
        provider.allow = _networks(allow)
    session.flush()
    return provider


def _networks(texts: Sequence[str]) -> list[str]:
    try:
        return [str(ip_network(text)) for text in texts]
    except ValueError as error:
        raise RefusedError("bad_value", f"allow: {error}") from None


def set_countries(session: Session, *, client: str, allow: Sequence[str], deny: Sequence[str]) -> None:
    """Set the countries (ISO 3166 codes) from which a brand's customers may bet. Raises NotFoundError, RefusedError."""
    brand = brand_by_client(session, client)
    brand.allowed_countries, brand.denied_countries = check_countries(allow), check_countries(deny)


def set_policy(session: Session, *, client: str, preset: str | None, rules: Any) -> None:
    """Set a brand's policy for limits (see `policy.py`): a preset or none, overridden by the brand's own rules.

    Raises NotFoundError, and RefusedError for invalid rules or rules by which a raise could never take effect.
    """
    brand = brand_by_client(session, client, lock=True)
    if preset is not None and preset not in PRESETS:
        raise RefusedError("bad_policy", f"preset: {preset!r}; one of {', '.join(PRESETS)} is expected")
    if not isinstance(rules, dict):
        raise RefusedError("bad_policy", "rules: a JSON object is expected")
    policy = read_policy(rules)
    in_force = read_policy(rules_in_force(preset, rules))
    check_raises(in_force)
    check_defaults(in_force)
    store_currencies(session.connection(), [code for _, code in (*policy.caps, *policy.defaults)])
    brand.policy = {**brand.policy, "preset": preset, "limits": rules}


def own_brands(session: Session) -> list[Brand]:
    """Return the brands whose tables a session sees, in the order of their ids: one where each has a schema, or all."""
    own = current_brand(session.connection())
    return list(session.scalars(select(Brand).where(*([] if own is None else [Brand.id == own])).order_by(Brand.id)))


def brand_by_client(session: Session, client: str, *, lock: bool = False) -> Brand:
    """Return a brand by its client name, with `lock` locked. Raises NotFoundError."""
    query = select(Brand).where(Brand.client == client)
    brand = session.scalar(locked(query, Brand) if lock else query)
    if brand is None:
        raise NotFoundError(f"no brand with client name {client!r}")
    return brand


def all_games(session: Session) -> list[str]:
    """Return the games of all providers, sorted."""
    return list(session.scalars(select(Provider.game).distinct().order_by(Provider.game)))


def all_clients(session: Session) -> list[str]:
    """Return the client names of all brands that the session sees, sorted."""
    return list(session.scalars(select(Brand.client).order_by(Brand.client)))


def check_game(session: Session, brand: Brand, game: str) -> None:
    """Raise NotFoundError unless a provider of the brand has this game."""
    if session.scalar(select(Provider.id).where(Provider.brand_id == brand.id, Provider.game == game)) is None:
        raise NotFoundError(f"no provider of brand {brand.client!r} with game {game!r}")


def _check_name(name: str, field: str) -> None:
    """Check the name of a brand or game: it is part of account names and references, whose separator is a colon."""
    if not 0 < len(name) <= 64 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise RefusedError("bad_value", f"{field} {name!r}: 1 to 64 ASCII letters, digits, - and _ are expected")
