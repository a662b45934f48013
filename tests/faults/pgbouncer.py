"""Runs PgBouncer, from the system's package, between the service and a server."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from tests.service import free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")

_CAN_PREPARE = (1, 21)  # its first version that knows the prepared statements of its clients

_CONFIGURATION = """
[databases]
* = host={server} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
"""


@cache
def can_prepare() -> bool:
    """Return whether it keeps prepared statements, which its older versions do not."""
    assert PROGRAM is not None
    printed = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.(\d+)", printed)
    assert version is not None
    return (int(version[1]), int(version[2])) >= _CAN_PREPARE


@contextmanager
def pgbouncer(server_directory: str, *, prepared: int) -> Iterator["Pooler"]:
    """Run it in transaction mode; `prepared` is its `max_prepared_statements`, 0 for none."""
    assert PROGRAM is not None
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="wallet-hooks-pgbouncer-") as directory:
        Path(directory).chmod(0o755)
        configuration = Path(directory) / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(server=server_directory, port=port))
        if prepared:
            with configuration.open("a") as settings:
                settings.write(f"max_prepared_statements = {prepared}\n")
        # As the server's user: it refuses to run as root, and others may not open the server's socket.
        user = Path(server_directory).owner() if os.getuid() == 0 else None
        process = subprocess.Popen([PROGRAM, "-q", str(configuration)], user=user)
        try:
            _wait_for(port)
            yield Pooler(port)
        finally:
            process.terminate()
            process.wait(10)


class Pooler:
    def __init__(self, port: int) -> None:
        self._port = port

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{quote(database)}"


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("PgBouncer did not start")
