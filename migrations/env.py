"""Alembic's environment: online only, one process at a time, in one transaction, with timeouts that protect a service
that is running.
"""

from alembic import context
from sqlalchemy import Engine, text

from wallet_hooks.database import Base, open_engine
from wallet_hooks.database.migrating import alone
from wallet_hooks.settings import Settings

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "300s"


def run() -> None:
    engine: Engine = context.config.attributes.get("engine") or open_engine(Settings.from_env())
    waiting = context.config.attributes.get("waiting", lambda: None)
    with engine.connect() as connection, alone(connection, waiting):
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
            connection.commit()
        context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=False)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()
