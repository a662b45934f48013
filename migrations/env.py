"""Alembic's environment: online only, one process at a time, each schema in one database transaction.

Lock and statement timeouts protect a running service.
"""

from alembic import context
from sqlalchemy import Connection, text

from wallet_hooks.database import Base, open_engine
from wallet_hooks.database.brand_schemas import choose_schema, has_brand_schemas, schemas_of_brands, see_schema
from wallet_hooks.database.citus import distribute_schema
from wallet_hooks.database.layout import require_layout, stored_layout
from wallet_hooks.database.migrating import Migration, exclusive_migration
from wallet_hooks.database.schema_contents import MigrationScope, drop_own_tables, drop_shared_tables
from wallet_hooks.database.tables import load_models
from wallet_hooks.ledger import currencies
from wallet_hooks.settings import Settings

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "300s"


def run() -> None:
    load_models()
    migration: Migration | None = context.config.attributes.get("migration")
    if migration is None:  # Alembic's own command line
        settings = Settings.from_env()
        currencies.configure(settings)
        migration = Migration(engine=open_engine(settings, for_migrations=True))
    if migration.new_schema is not None:
        create(*migration.new_schema)
        return
    with migration.engine.connect() as connection, exclusive_migration(connection, migration.waiting):
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            connection.commit()
        migrate_all(connection, migration)


def create(connection: Connection, schema: str) -> None:
    """Create a brand's schema in the connection's transaction."""
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"CREATE SCHEMA {schema}"))
    connection.execute(text(f"SET LOCAL search_path = {schema}"))
    migrate(connection, MigrationScope.ALL, schema=schema)
    connection.execute(text(choose_schema(None)))
    distribute_schema(connection, schema)


def migrate_all(connection: Connection, migration: Migration) -> None:
    """Migrate the shared tables and then each brand's schema; undo in the opposite order."""
    with connection.begin():
        require_layout(connection)
        is_spread = bool(stored_layout(connection))
        schemas = schemas_of_brands(connection) if is_spread else []
    passes: list[tuple[MigrationScope, str | None]] = [
        (MigrationScope.SHARED if is_spread else MigrationScope.ALL, None),
        *((MigrationScope.OWN, schema) for schema in schemas),
    ]
    for scope, schema in reversed(passes) if migration.is_downgrade else passes:
        if schema is not None:
            migration.progress(schema, schemas.index(schema) + 1, len(schemas))
        if is_spread:
            see_schema(connection, schema)
            connection.execute(text(choose_schema(schema, of="SESSION")))  # outside transactions, too
            connection.commit()
        migrate(connection, scope, schema=schema)
        connection.commit()
    if is_spread:
        connection.execute(text("RESET search_path"))
        connection.commit()


def migrate(connection: Connection, scope: MigrationScope, *, schema: str | None) -> None:
    """Migrate one schema; None is `public`, or the only one."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        version_table_schema=schema,
        # Alembic assumes that SQLite cannot roll back schema changes, but it can: a run is atomic on both engines.
        transactional_ddl=True,
        scope=scope,
        brand_schemas=has_brand_schemas(connection.engine),
    )
    with context.begin_transaction():
        context.run_migrations()
        if schema is not None:
            drop_shared_tables(connection, schema)
        elif stored_layout(connection):
            drop_own_tables(connection)


run()
