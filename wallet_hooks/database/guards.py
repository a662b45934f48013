"""Checks that a database is as it must be: layout, schemas, tables, rights, keys, and what guards the ledger."""

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, text

from wallet_hooks.database.brand_schemas import has_brand_schemas, schemas_of_brands
from wallet_hooks.database.citus import has_citus
from wallet_hooks.database.layout import layout_problem
from wallet_hooks.database.revisions import schema_problem
from wallet_hooks.database.tables import (
    Shared,
    SharedAndOwn,
    load_models,
    names_of_own_tables,
    table_names,
    unique_keys,
)

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
# for replicas, does not count ('D' and 'R'), nor does a function that refuses nothing, or that a session's temporary
# tables would deceive.
_UNGUARDED = """
    SELECT DISTINCT relation.oid::regclass::text || ' (' || guard.function || ')'
    FROM (VALUES {guards}) AS guard (name, function, events)
    JOIN pg_class relation ON relation.relname ~ ('^' || guard.name || '{suffix}$')
    WHERE relation.relkind IN ('r', 'p') AND {is_ours}
        AND (SELECT coalesce(bit_or(t.tgtype::integer), 0) & guard.events FROM pg_trigger t
             JOIN pg_proc p ON p.oid = t.tgfoid
             WHERE t.tgrelid = relation.oid AND p.proname = guard.function AND t.tgenabled IN ('O', 'A')
                AND p.prosrc LIKE '%RAISE EXCEPTION%'
                AND array_to_string(p.proconfig, ';') ~ 'search_path=[^;]*, pg_temp(;|$)') <> guard.events
    ORDER BY 1
"""
_IN_SCHEMAS = "relation.relnamespace::regnamespace::text ~ '^(public|brand_[0-9]+)$'"
# Tables that only commands and migrations write, and those whose rows callbacks change or lock.
_ONLY_READ = ("brand", "provider", "bookie", "database_layout", "exchange_rate", "coupon_event")
_CHANGED = (
    "betslip", "betslip_message", "betslip_price", "betslip_sequence", "callback_exception", "customer",
    "ledger_account", "limit_usage", "wager",
)  # fmt: skip
# What the connection's role may not do, and will have to. To update a column is enough.
_DENIED = """
    SELECT lower(right_name) || ' on ' || relation.oid::regclass
    FROM pg_class relation
    CROSS JOIN LATERAL unnest(CASE
            WHEN relation.relkind = 'S' THEN ARRAY['USAGE']
            WHEN relation.relname = ANY (:only_read) THEN ARRAY['SELECT']
            WHEN relation.relname = ANY (:changed) THEN ARRAY['SELECT', 'INSERT', 'UPDATE']
            ELSE ARRAY['SELECT', 'INSERT'] END)
        AS right_name
    WHERE relation.relkind IN ('r', 'p', 'S') AND relation.relnamespace::regnamespace::text = ANY (:schemas)
        AND (relation.relname = ANY (:tables)
            OR (relation.relkind = 'S' AND relation.relname ~ :sequences))
        AND NOT CASE relation.relkind
            WHEN 'S' THEN has_sequence_privilege(relation.oid, right_name)
            ELSE has_table_privilege(relation.oid, right_name)
                OR (right_name = 'UPDATE' AND has_any_column_privilege(relation.oid, 'UPDATE')) END
    ORDER BY 1
"""
# Where the search path finds the tables; its first schema may be one of the role's own, without tables.
_PLACES = """
    SELECT coalesce(relation.relnamespace::regnamespace::text, current_schema()), name
    FROM unnest(CAST(:names AS text[])) AS name
    LEFT JOIN pg_class relation ON relation.oid = to_regclass(quote_ident(name))
"""
_UNIQUE = """
    SELECT relation.relnamespace::regnamespace::text, relation.relname,
        ARRAY(SELECT attname::text FROM pg_attribute
              WHERE attrelid = relation.oid AND attnum = ANY (index.indkey) ORDER BY 1)
    FROM pg_index index JOIN pg_class relation ON relation.oid = index.indrelid
    WHERE index.indisunique AND index.indisvalid AND index.indexprs IS NULL
        AND relation.relnamespace::regnamespace::text = ANY (:schemas)
"""
_SHOWN = 10  # of the names in a problem


def database_problem(connection: Connection) -> str | None:
    """Return what is wrong with a migrated database; None if nothing is."""
    problems = (layout_problem, brand_problem, table_problem, rights_problem, key_problem, guard_problem)
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
    found = _tables(connection)
    if missing := sorted(set(_expected(connection)) - found):
        return f"missing tables: {_list(map('.'.join, missing))}: restore them"
    if not has_brand_schemas(connection.engine):
        return None
    misplaced = _list(map(".".join, sorted({("public", name) for name in names_of_own_tables()} & found)))
    return f"tables of brands: {misplaced}: if they are empty, run wallet-hooks db upgrade" if misplaced else None


def rights_problem(connection: Connection) -> str | None:
    """Return which rights the connection's role lacks; None if it has those that all tables and sequences need."""
    if connection.dialect.name != "postgresql":
        return None
    expected = list(_expected(connection))
    schemas, tables = ({one[part] for one in expected} for part in (0, 1))
    named = {
        "schemas": sorted(schemas),
        "tables": sorted(tables),
        "only_read": list(_ONLY_READ),
        "changed": list(_CHANGED),
    }
    sequences = f"^({'|'.join(sorted(tables - set(_ONLY_READ)))})_"
    denied = connection.scalars(text(_DENIED), named | {"sequences": sequences}).all()
    return f"permission denied: {_list(denied)}: grant it" if denied else None


def key_problem(connection: Connection) -> str | None:
    """Return which tables lack a unique key; None if none do."""
    if connection.dialect.name != "postgresql":
        return None
    expected = list(_expected(connection))
    rows = connection.execute(text(_UNIQUE), {"schemas": sorted({schema for schema, _ in expected})})
    found = {(schema, table, frozenset(columns)) for schema, table, columns in rows}
    keys = {(schema, table, key) for schema, table in expected for key in unique_keys(table)}
    missing = sorted(f"{schema}.{table} ({', '.join(sorted(key))})" for schema, table, key in keys - found)
    return f"missing unique keys: {_list(missing)}: restore them" if missing else None


def _list(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _expected(connection: Connection) -> Iterator[_Table]:
    """Return the tables that the database must have."""
    load_models()
    if not has_brand_schemas(connection.engine):
        rows = connection.execute(text(_PLACES), {"names": sorted(table_names())})
        yield from ((str(schema), str(name)) for schema, name in rows)
        return
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
