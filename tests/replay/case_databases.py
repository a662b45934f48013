"""Case databases for tests, on SQLite or PostgreSQL."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url, text

from wallet_hooks.database import open_engine
from wallet_hooks.replay.case_database import CaseDatabase, DatabaseFactory, copied_database_factory, database_factory
from wallet_hooks.settings import Settings


@contextmanager
def database_factory_on(database_url: str) -> Iterator[DatabaseFactory]:
    """Yield a factory of case databases: copies of an empty SQLite file, or a PostgreSQL database emptied each time."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        template = Path(url.database or "")
        with copied_database_factory(template, template.with_name("case.db")) as new_database:
            yield new_database
        return
    settings = Settings(database_url=database_url, request_timeout=30, lock_timeout=30, statement_timeout=30)
    engine = open_engine(settings)
    with engine.connect() as connection:
        tables = connection.scalars(
            text(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                # Connections cache the currencies and house accounts that they found stored.
                " AND tablename NOT IN ('alembic_version', 'ledger_currency', 'ledger_account')"
            )
        ).all()
    engine.dispose()
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(dsn, autocommit=True)) as connection_:
        connection_.execute("SET session_replication_role = replica")
        deletions = [f"DELETE FROM {table}" for table in tables]  # small tables: TRUNCATE takes longer
        empty = ";".join([*deletions, "DELETE FROM ledger_account WHERE holder_id IS NOT NULL"]).encode()

        def reset(_stage: CaseDatabase) -> None:
            connection_.execute(empty)

        with database_factory(settings, reset, durable=True) as new_database:
            yield new_database
