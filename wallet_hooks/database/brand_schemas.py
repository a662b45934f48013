"""The schemas of brands, in a database in which each brand has its own (docs/scale.md).

Statements name no schema: the search path of a transaction chooses it. `brand_engine` returns the engine whose
transactions see the brand's tables and the shared ones, which are in the schema `public`. In any other database all
tables are together, and it returns the engine itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

# Execution option of an engine whose database has brand schemas.
HAS_BRAND_SCHEMAS = "wallet_hooks_has_brand_schemas"
_PREFIX = "brand_"
_SCHEMA = "wallet_hooks_schema"  # execution option: the schema that transactions see before `public`


def schema_of(brand_id: int) -> str:
    """Return the name of a brand's schema."""
    return f"{_PREFIX}{brand_id}"


def schemas_of_brands(connection: Connection) -> list[str]:
    """Return the schemas of all brands, in the order of their ids."""
    return [schema_of(id_) for id_ in connection.scalars(text("SELECT id FROM public.brand ORDER BY id"))]


def has_brand_schemas(engine: Engine) -> bool:
    """Return whether each brand has its own schema in the engine's database."""
    return bool(engine.get_execution_options().get(HAS_BRAND_SCHEMAS))


def brand_engine(engine: Engine, brand_id: int) -> Engine:
    """Return an engine, on the same connections, whose transactions see the brand's tables."""
    if not has_brand_schemas(engine):
        return engine
    return engine.execution_options(**{_SCHEMA: schema_of(brand_id)})


@contextmanager
def seeing_brand(connection: Connection, brand_id: int) -> Iterator[None]:
    """Have the block's part of a transaction see a brand's tables. The connection is of the engine without a brand."""
    if not has_brand_schemas(connection.engine):
        yield
        return
    for schema in (schema_of(brand_id), None):
        see_schema(connection, schema)
        connection.exec_driver_sql(choose_schema(schema))
        if schema is not None:
            yield


def see_schema(connection: Connection, schema: str | None) -> None:
    """Have the connection's next transactions see a brand's schema, or with None `public` alone."""
    connection.execution_options(**{_SCHEMA: schema})


def current_schema(connection: Connection) -> str | None:
    """Return the brand schema that the connection's transactions see; None if they see `public` alone."""
    schema: str | None = connection.get_execution_options().get(_SCHEMA)
    return schema


def current_brand(connection: Connection) -> int | None:
    """Return the id of the brand whose tables the connection's transactions see; None where all are together."""
    schema = current_schema(connection)
    return None if schema is None else int(schema.removeprefix(_PREFIX))


def choose_schema(schema: str | None, *, of: str = "LOCAL") -> str:
    """Return the statement that chooses the schema of the running transaction, or `of` the SESSION.

    It is no query: some commands must come before the first query of a transaction.
    """
    return f"SET {of} search_path = public" if schema is None else f"SET {of} search_path = {schema}, public"
