"""Which tables a schema has, where each brand has its own: `public` the shared ones, a brand's schema the others.

Migrations create all tables in every schema; what does not belong there is removed at the end, in their transaction.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from alembic import op
from sqlalchemy import Connection, inspect, text

from wallet_hooks.database.brand_schemas import choose_schema
from wallet_hooks.database.citus import distribute_shared_tables
from wallet_hooks.database.tables import Base, Shared, names_of_own_tables, table_names
from wallet_hooks.errors import RefusedError


class MigrationScope(Enum):
    """The tables that a run of migrations changes."""

    ALL = "all"  # those of a database without brand schemas, or of a new schema
    SHARED = "shared"
    OWN = "own"  # of a brand


def changes_shared_tables() -> bool:
    """Return whether the running migration is to change the tables that all brands share."""
    return _scope() is not MigrationScope.OWN


def changes_own_tables() -> bool:
    """Return whether the running migration is to change the brands' own tables."""
    return _scope() is not MigrationScope.SHARED


def creates_schema() -> bool:
    """Return whether the running migration is one of those that create a brand's schema, in one transaction."""
    return op.get_context().version_table_schema is not None and _scope() is MigrationScope.ALL


def _scope() -> MigrationScope:
    scope: MigrationScope = op.get_context().opts["scope"]
    return scope


def drop_own_tables(connection: Connection) -> None:
    """Remove the brands' own tables from `public`. Their sequences stay: ids are unique over all brands.

    Raises RefusedError (`not_empty`) if one has rows, which somebody put there.
    """
    own = sorted(names_of_own_tables())
    for table in filter(inspect(connection).has_table, own):
        if connection.scalar(text(f"SELECT EXISTS (SELECT FROM public.{table})")):
            raise RefusedError("not_empty", f"public.{table}: where each brand has a schema, this table must be empty")
    for sequence, table, _ in _sequences(connection, "public"):
        if table in own:
            connection.execute(text(f"ALTER SEQUENCE public.{sequence} OWNED BY NONE"))
    for table in own:
        connection.execute(text(f"DROP TABLE IF EXISTS public.{table} CASCADE"))
    shared = table_names(Shared)
    distribute_shared_tables(connection, [table.name for table in Base.metadata.sorted_tables if table.name in shared])


def drop_shared_tables(connection: Connection, schema: str) -> None:
    """Remove the shared tables and the sequences from a brand's schema; what refers to them uses those in `public`."""
    shared = sorted(table_names(Shared))
    references = _references(connection, schema, shared)
    for sequence, table, column in _sequences(connection, schema):
        if table is not None and table not in shared:
            default = f"nextval('public.{sequence}')"
            connection.execute(text(f"ALTER TABLE {schema}.{table} ALTER {column} SET DEFAULT {default}"))
        if table not in shared:
            connection.execute(text(f"DROP SEQUENCE {schema}.{sequence}"))
    for table in shared:
        connection.execute(text(f"DROP TABLE IF EXISTS {schema}.{table} CASCADE"))
    connection.execute(text(choose_schema(schema)))
    for table, name, definition in references:
        connection.execute(text(f"ALTER TABLE {schema}.{table} ADD CONSTRAINT {name} {definition}"))


def _sequences(connection: Connection, schema: str) -> Sequence[Any]:
    """Return the schema's sequences, each with the table and column that it gives ids; not those of identities."""
    query = text("""
        SELECT sequence.relname, owner.relname, owning.attname FROM pg_class sequence
        LEFT JOIN pg_depend owned ON owned.classid = 'pg_class'::regclass AND owned.objid = sequence.oid
            AND owned.refclassid = 'pg_class'::regclass AND owned.deptype IN ('a', 'i')
        LEFT JOIN pg_class owner ON owner.oid = owned.refobjid
        LEFT JOIN pg_attribute owning ON owning.attrelid = owned.refobjid AND owning.attnum = owned.refobjsubid
        WHERE sequence.relkind = 'S' AND sequence.relnamespace = CAST(:schema AS regnamespace)
            AND owned.deptype IS DISTINCT FROM 'i'
        ORDER BY 1
    """)
    return connection.execute(query, {"schema": schema}).all()


def _references(connection: Connection, schema: str, shared: list[str]) -> Sequence[Any]:
    """Return the foreign keys of a brand's tables that refer to shared ones: table, name and definition."""
    query = text("""
        SELECT source.relname, con.conname, pg_get_constraintdef(con.oid) FROM pg_constraint con
        JOIN pg_class source ON source.oid = con.conrelid
        JOIN pg_class target ON target.oid = con.confrelid
        WHERE con.contype = 'f' AND con.connamespace = CAST(:schema AS regnamespace)
            AND target.relnamespace = con.connamespace
            AND target.relname = ANY(:shared) AND source.relname <> ALL(:shared)
        ORDER BY 1, 2
    """)
    return connection.execute(query, {"schema": schema, "shared": shared}).all()
