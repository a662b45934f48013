"""Alembic's environment: online only, one process at a time, in one database transaction.

Lock and statement timeouts protect a running service.
"""

from alembic import context
from sqlalchemy import Engine, text

from wallet_hooks.database import Base, open_engine
from wallet_hooks.database.migrating import exclusive_migration
from wallet_hooks.ledger import currencies
from wallet_hooks.settings import Settings

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "300s"


def run() -> None:
    engine: Engine | None = context.config.attributes.get("engine")
    if engine is None:
        settings = Settings.from_env()
        currencies.configure(settings)
        engine = open_engine(settings, for_migrations=True)
    waiting = context.config.attributes.get("waiting", lambda: None)
    with engine.connect() as connection, exclusive_migration(connection, waiting):
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            connection.commit()
        # Alembic assumes that SQLite cannot roll back schema changes, but it can: a run is atomic on both engines.
        context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()
