"""What is different where the server is a coordinator of Citus, which places brands' schemas on its nodes."""

from collections.abc import Iterable

from sqlalchemy import Connection, text

# Returns a row where the database has the extension.
HAS_CITUS = "SELECT 1 FROM pg_extension WHERE extname = 'citus'"


def has_citus(connection: Connection) -> bool:
    """Return whether the database has the extension Citus."""
    return connection.scalar(text(HAS_CITUS)) is not None


def distribute_schema(connection: Connection, schema: str) -> None:
    """Place a new schema, with its triggers, on one of the nodes; without Citus do nothing."""
    if has_citus(connection):
        connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))
        connection.execute(text("SELECT citus_schema_distribute(CAST(:schema AS regnamespace))"), {"schema": schema})


def distribute_shared_tables(connection: Connection, tables: Iterable[str]) -> None:
    """Keep tables of `public` on all nodes; without Citus do nothing. Name each table after those that it refers to."""
    if not has_citus(connection):
        return
    connection.execute(text("SET LOCAL citus.enable_unsafe_triggers = on"))
    query = text("SELECT logicalrelid::oid FROM pg_dist_partition WHERE logicalrelid = CAST(:name AS regclass)")
    for name in (f"public.{table}" for table in tables):
        if connection.scalar(query, {"name": name}) is None:
            connection.execute(text("SELECT create_reference_table(CAST(:name AS regclass))"), {"name": name})


def nodes_of_schemas(connection: Connection) -> dict[str, str]:
    """Return the node (host:port) of each brand's schema; empty without Citus."""
    if not has_citus(connection):
        return {}
    query = """
        SELECT DISTINCT schema_name::text AS schema, nodename || ':' || nodeport AS node FROM citus_shards
        JOIN citus_schemas ON split_part(table_name::text, '.', 1) = schema_name::text
    """
    return {str(row.schema): str(row.node) for row in connection.execute(text(query))}
