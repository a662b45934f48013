"""Checks that a database is as it must be: its layout, its schemas, and what keeps the ledger append-only."""

from typing import Any

from sqlalchemy import Connection, text

from wallet_hooks.database.brand_schemas import has_brand_schemas, schema_of
from wallet_hooks.database.citus import has_citus
from wallet_hooks.database.layout import layout_problem
from wallet_hooks.database.revisions import schema_problem

_OWN = ("ledger_account", "ledger_entry", "ledger_transaction")
_SHARED = ("ledger_currency", "staff_action")
# Citus keeps rows in tables with a number at the end of their names, on its nodes. In `pg_trigger`, 16 is UPDATE, 8
# DELETE and 32 TRUNCATE; a disabled trigger is 'D'.
_UNGUARDED = """
    SELECT relation.oid::regclass::text FROM pg_class relation
    WHERE relation.relkind IN ('r', 'p') AND relation.relname ~ '^({names}){suffix}$'
        AND relation.relnamespace::regnamespace::text ~ '^({schemas})$'
        AND (SELECT coalesce(bit_or(t.tgtype::integer), 0) & 56 FROM pg_trigger t
             JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = relation.oid AND p.proname = 'ledger_keep' AND t.tgenabled <> 'D') <> 56
    ORDER BY 1
"""


def database_problem(connection: Connection) -> str | None:
    """Return what is wrong with a migrated database: its layout, the brands' schemas, or the guards of its tables."""
    return layout_problem(connection) or brand_problem(connection) or guard_problem(connection)


def guard_problem(connection: Connection) -> str | None:
    """Return which tables are not append-only although they must be; None if all are. SQLite's file is not checked."""
    if connection.dialect.name != "postgresql":
        return None
    unguarded = sorted(set(_unguarded(connection)))
    return f"not append-only: {', '.join(unguarded)}" if unguarded else None


def brand_problem(connection: Connection) -> str | None:
    """Return which brand's schema is missing or at another migration than the code; None if all are right."""
    if not has_brand_schemas(connection.engine):
        return None
    found = _revisions(connection)
    for brand_id in connection.scalars(text("SELECT id FROM public.brand ORDER BY id")).all():
        schema = schema_of(brand_id)
        if schema not in found:
            return f"{schema} does not exist: restore it"
        if (problem := schema_problem(found[schema])) is not None:
            return f"{schema}: {problem}"
    return None


def _unguarded(connection: Connection) -> list[str]:
    on_nodes = has_citus(connection)
    query = _UNGUARDED.format(
        names="|".join((*_OWN, *_SHARED)), suffix="(_[0-9]+)?" if on_nodes else "", schemas="public|brand_[0-9]+"
    )
    if not on_nodes:
        return list(connection.scalars(text(query)))
    whole = f"SELECT coalesce(json_agg(name), '[]') FROM ({query}) AS unguarded (name)"
    rows: Any = connection.execute(
        text("SELECT nodeid, result FROM run_command_on_all_nodes(:query) WHERE NOT success OR result <> '[]'"),
        {"query": whole},
    )
    return [f"{result} (node {node})" for node, result in rows]


def _revisions(connection: Connection) -> dict[str, str]:
    """Return the migration of each brand's schema that exists."""
    query = """
        SELECT nspname FROM pg_namespace WHERE nspname ~ '^brand_[0-9]+$'
            AND to_regclass(nspname || '.alembic_version') IS NOT NULL
    """
    schemas = connection.scalars(text(query)).all()
    if not schemas:
        return {}
    union = " UNION ALL ".join(f"SELECT '{name}' AS name, version_num FROM {name}.alembic_version" for name in schemas)
    return {str(row.name): str(row.version_num) for row in connection.execute(text(union))}
