"""The brands and their engines, where each brand has a schema."""

from sqlalchemy import Engine, text

from wallet_hooks.database.brand_schemas import brand_engine, has_brand_schemas
from wallet_hooks.database.transactions import reading
from wallet_hooks.errors import NotFoundError


def brand_ids(engine: Engine) -> dict[str, int]:
    """Return the brands' ids by client name, in their order, where each brand has a schema; otherwise nothing."""
    if not has_brand_schemas(engine):
        return {}
    with reading(engine) as session:
        return {row.client: row.id for row in session.execute(text("SELECT client, id FROM brand ORDER BY id"))}


def engine_of_client(engine: Engine, client: str) -> Engine:
    """Return the engine that sees a brand's tables, by its client name. Raises NotFoundError."""
    if not has_brand_schemas(engine):
        return engine
    if (id_ := brand_ids(engine).get(client)) is None:
        raise NotFoundError(f"no brand with client name {client!r}")
    return brand_engine(engine, id_)


def engines_of_brands(engine: Engine) -> list[tuple[str | None, Engine]]:
    """Return each brand's client name with its engine, in the order of their ids.

    Where all brands are together, one engine without a name.
    """
    if not has_brand_schemas(engine):
        return [(None, engine)]
    return [(client, brand_engine(engine, id_)) for client, id_ in brand_ids(engine).items()]
