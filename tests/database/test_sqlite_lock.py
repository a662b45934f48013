"""SQLite's lock: a process gets its turn beside another that writes all the time."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from wallet_hooks.database.engine import open_engine
from wallet_hooks.settings import Settings

# Holds the lock except for a tenth of a millisecond after each transaction, and says when it has begun.
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
while True:
    connection.execute("BEGIN IMMEDIATE")
    print("began", flush=True)
    time.sleep(0.002)
    connection.execute("COMMIT")
    time.sleep(0.0001)
"""


def test_a_process_that_writes_all_the_time_leaves_others_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    engine = open_engine(Settings(database_url=f"sqlite:///{path}", lock_timeout=0.3), for_callbacks=True)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(100):
                with engine.begin():
                    pass
        finally:
            writer.kill()
    engine.dispose()
