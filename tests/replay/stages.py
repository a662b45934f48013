"""Stages for replays in tests: a database of either engine, made new for each case."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url, text

from wallet_hooks.database import open_engine
from wallet_hooks.replay.stage import Stage, Stages, copied_stages, stages
from wallet_hooks.settings import Settings


@contextmanager
def stages_on(database_url: str) -> Iterator[Stages]:
    """On an empty database with the current schema, or copies of it."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        template = Path(url.database or "")
        with copied_stages(template, template.with_name("stage.db")) as made:
            yield made
        return
    settings = Settings(database_url=database_url, request_timeout=30, lock_timeout=30, statement_timeout=30)
    engine = open_engine(settings)
    with engine.connect() as connection:
        tables = connection.scalars(
            text(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                # What connections have found stored stays so: currencies, and house accounts.
                " AND tablename NOT IN ('alembic_version', 'ledger_currency', 'ledger_account')"
            )
        ).all()
    engine.dispose()
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(dsn, autocommit=True)) as connection_:
        connection_.execute("SET session_replication_role = replica")
        deletions = [f"DELETE FROM {table}" for table in tables]  # small tables: TRUNCATE takes longer
        empty = ";".join([*deletions, "DELETE FROM ledger_account WHERE holder_id IS NOT NULL"]).encode()

        def reset(_stage: Stage) -> None:
            connection_.execute(empty)

        with stages(settings, reset, durable=True) as made:
            yield made
