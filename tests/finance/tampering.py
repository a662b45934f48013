"""Changes of stored history that bypass the database's triggers."""

import sqlite3
from contextlib import closing

from tests.world import World

# The first one has effect on Citus alone: the second one then reaches its nodes.
_WITHOUT_TRIGGERS = ("SET LOCAL citus.propagate_set_commands = local", "SET LOCAL session_replication_role = replica")


def tampered(world: World, *statements: str) -> None:
    """Run statements without triggers, as anyone with the database's password or file could."""
    if world.engine.dialect.name == "postgresql":
        with world.engine.begin() as connection:
            for statement in (*_WITHOUT_TRIGGERS, *statements):
                connection.exec_driver_sql(statement)
        return
    with closing(sqlite3.connect(world.engine.url.database or "")) as file, file:
        for (trigger,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            file.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            file.execute(statement)
