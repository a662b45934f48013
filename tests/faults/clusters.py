"""PostgreSQL servers that a test starts, kills, copies and promotes: a primary and its synchronous standby."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests import postgresql
from tests.waiting import wait_until

_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{directory}'
port = 5432
fsync = {fsync}
wal_level = replica
hot_standby = on
max_wal_senders = 4
max_connections = 60
wal_receiver_timeout = 2s
wal_retrieve_retry_interval = 200ms
"""


class Node:
    """A server with its own directory, which is also where its socket is."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self.directory = directory
        self._data = directory / "data"

    def create(self, *, durable: bool = False) -> None:
        """Create an empty server; unless it is `durable` it loses what it has when its machine is lost."""
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync")
        self._configure("on" if durable else "off")

    def copy_from(self, primary: "Node", *, name: str, durable: bool = False) -> None:
        """Become a standby of a running primary, which knows it by the name; what the node had before is removed."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = f"host={primary.directory} user=postgres application_name={name}"
        self._run("pg_basebackup", "-D", str(self._data), "-d", source, "-R", "-c", "fast", "--no-sync")
        self._configure("on" if durable else "off")

    def archive_to(self, directory: Path) -> None:
        """Keep the log (WAL) in a directory, as a server does that is backed up."""
        directory.mkdir()
        shutil.chown(directory, self.directory.owner())
        # A file is there whole or not at all, also if the server is stopped while it is copied.
        command = f"cp %p {directory}/%f.new && mv {directory}/%f.new {directory}/%f"
        self._set(f"archive_mode = on\narchive_command = '{command}'\n")

    def finish_archive(self) -> None:
        """Have the log so far archived, and wait until it is."""
        ((last,),) = self.execute("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until(lambda: self.execute(f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver") == [(True,)])

    def back_up(self, primary: "Node") -> None:
        """Take a base backup of a running server."""
        source = f"host={primary.directory} user=postgres"
        self._run("pg_basebackup", "-D", str(self._data), "-d", source, "-c", "fast", "--no-sync")

    def restore(self, *, archive: Path, moment: str) -> None:
        """Start from the base backup with the archived log, up to a moment."""
        self._set(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment}'\n")
        self._set("recovery_target_action = promote\narchive_mode = off\n")
        self._configure("off")
        (self._data / "recovery.signal").touch()
        shutil.chown(self._data / "recovery.signal", self.directory.owner())
        self.start()
        wait_until(lambda: self.execute("SELECT pg_is_in_recovery()") == [(False,)])

    def start(self) -> None:
        self._control("start", "-w")

    def stop(self) -> None:
        self._control("stop", "-m", "immediate", "-w")

    def kill(self) -> None:
        """Kill the server and all its processes, as a failing machine does."""
        server = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in (server, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not any(_is_running(process) for process in (server, *map(int, children))))
        # As after a restart of the machine: a killed process that nobody waits for would keep the server from starting.
        (self._data / "postmaster.pid").unlink()
        (self.directory / ".s.PGSQL.5432.lock").unlink()

    def promote(self) -> None:
        self._control("promote", "-w")

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        parameters = {"host": str(self.directory), "user": "postgres", "dbname": database}
        with psycopg.connect(autocommit=True, **parameters) as connection:  # type: ignore[arg-type]
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.directory}"

    @property
    def socket(self) -> str:
        return f"{self.directory}/.s.PGSQL.5432"

    def _configure(self, fsync: str) -> None:
        self._set(_SETTINGS.format(directory=self.directory, fsync=fsync))

    def _set(self, lines: str) -> None:
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(lines)

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self.directory / "server.log"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = self.directory.owner() if os.getuid() == 0 else None
        environment = os.environ | {"LC_ALL": "C"}
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(
                [str(self._binaries / program), *arguments],
                user=user, env=environment, cwd=self.directory, stdout=output, stderr=output, check=False,
            )  # fmt: skip
            output.seek(0)
            assert ended.returncode == 0, output.read().decode()


def _is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def nodes(server: postgresql.Server, count: int) -> Iterator[list[Node]]:
    """Prepare directories for servers with the program files of a running one; stop and remove them afterwards."""
    place = Path(tempfile.mkdtemp(prefix="wallet-hooks-nodes-", dir=postgresql.memory()))
    place.chmod(0o755)
    owner = Path(server.socket_dir).owner()
    made = []
    try:
        for number in range(count):
            directory = place / f"node{number}"
            directory.mkdir(mode=0o755)
            shutil.chown(directory, owner)
            made.append(Node(server.binaries, directory))
        yield made
    finally:
        for node in made:
            with contextlib.suppress(AssertionError, OSError):
                node.stop()
        shutil.rmtree(place, ignore_errors=True)
