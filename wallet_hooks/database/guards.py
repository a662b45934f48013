"""Checks that a database is as it must be: layout, schemas, tables, and the triggers that guard the ledger."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from wallet_hooks.database.brand_schemas import has_brand_schemas, schemas_of_brands
from wallet_hooks.database.citus import has_citus
from wallet_hooks.database.layout import layout_problem
from wallet_hooks.database.revisions import schema_problem
from wallet_hooks.database.tables import Shared, SharedAndOwn, load_models, names_of_own_tables, table_names

_Table = tuple[str, str]  # its schema and name

# Events of triggers, as in `pg_trigger`.
_INSERT, _KEEP = 4, 8 | 16 | 32  # _KEEP: DELETE, UPDATE, TRUNCATE
# Which functions must be called at which events of which tables.
_GUARDS = (
    ("ledger_account", "ledger_keep", _KEEP),
    ("ledger_entry", "ledger_keep", _KEEP),
    ("ledger_entry", "ledger_check_entries", _INSERT),
    ("ledger_transaction", "ledger_keep", _KEEP),
    ("ledger_transaction", "ledger_check_period", _INSERT),
    ("ledger_seal", "ledger_keep", _KEEP),
    ("ledger_currency", "ledger_keep", _KEEP),
    ("staff_action", "ledger_keep", _KEEP),
)
# Citus keeps rows in tables with a number at the end of their names, on its nodes. A trigger that is disabled, or only
# for replicas, does not count ('D' and 'R'), nor does a function that refuses nothing.
_UNGUARDED = """
    SELECT DISTINCT relation.oid::regclass::text || ' (' || guard.function || ')'
    FROM (VALUES {guards}) AS guard (name, function, events)
    JOIN pg_class relation ON relation.relname ~ ('^' || guard.name || '{suffix}$')
    WHERE relation.relkind IN ('r', 'p') AND {is_ours}
        AND (SELECT coalesce(bit_or(t.tgtype::integer), 0) & guard.events FROM pg_trigger t
             JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = relation.oid AND p.proname = guard.function AND t.tgenabled IN ('O', 'A')
                AND p.prosrc LIKE '%RAISE EXCEPTION%') <> guard.events
    ORDER BY 1
"""
_IN_SCHEMAS = "relation.relnamespace::regnamespace::text ~ '^(public|brand_[0-9]+)$'"
_SHOWN = 10  # of the tables that are missing


def database_problem(connection: Connection) -> str | None:
    """Return what is wrong with a migrated database: its layout, the brands' schemas, tables, or their guards."""
    problems = (layout_problem, brand_problem, table_problem, guard_problem)
    return next(filter(None, (problem(connection) for problem in problems)), None)


def guard_problem(connection: Connection) -> str | None:
    """Return which tables lack triggers that refuse wrong changes; None if all have them. SQLite is not checked."""
    if connection.dialect.name != "postgresql":
        return None
    unguarded = _unguarded(connection)
    return f"without the triggers that guard the ledger: {', '.join(unguarded)}: restore them" if unguarded else None


def brand_problem(connection: Connection) -> str | None:
    """Return which brand's schema is missing or at another migration than the code; None if all are right."""
    if not has_brand_schemas(connection.engine):
        return None
    found = _revisions(connection)
    for schema in schemas_of_brands(connection):
        if schema not in found:
            return f"{schema}, or its table alembic_version, does not exist: restore it"
        if (problem := schema_problem(found[schema])) is not None:
            return f"{schema}: {problem}"
    return None


def table_problem(connection: Connection) -> str | None:
    """Return which tables are missing, or are in `public` although each brand has its own; None if none are."""
    if connection.dialect.name != "postgresql":
        return None
    load_models()
    if not has_brand_schemas(connection.engine):
        absent = "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(quote_ident(name)) IS NULL"
        query = text(f"{absent} ORDER BY 1")
        return _missing(connection.scalars(query, {"names": sorted(table_names())}).all())
    found = _tables(connection)
    if missing := sorted(set(_expected(connection)) - found):
        return _missing(list(map(".".join, missing)))
    if misplaced := sorted({("public", name) for name in names_of_own_tables()} & found):
        return f"tables of brands: {', '.join(map('.'.join, misplaced))}: run wallet-hooks db upgrade"
    return None


def _missing(names: Sequence[str]) -> str | None:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"missing tables: {', '.join(names[:_SHOWN])}{more}: restore them" if names else None


def _expected(connection: Connection) -> Iterator[_Table]:
    """Return the tables that a database with a schema for each brand has."""
    yield from (("public", name) for name in table_names(Shared) | table_names(SharedAndOwn))
    own = table_names() - table_names(Shared)
    yield from ((schema, name) for schema in schemas_of_brands(connection) for name in own)


def _tables(connection: Connection) -> set[_Table]:
    query = text("SELECT relnamespace::regnamespace::text, relname FROM pg_class WHERE relkind IN ('r', 'p')")
    return {(schema, name) for schema, name in connection.execute(query)}


def _unguarded(connection: Connection) -> list[str]:
    on_nodes = has_citus(connection)
    query = _UNGUARDED.format(
        guards=", ".join(f"('{name}', '{function}', {events})" for name, function, events in _GUARDS),
        suffix="(_[0-9]+)?" if on_nodes else "",
        is_ours=_IN_SCHEMAS if has_brand_schemas(connection.engine) else "relation.oid = to_regclass(guard.name)",
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
