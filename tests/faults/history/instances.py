"""Instances of the service that a nemesis stops, kills and starts again, as a supervisor would."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.service import command, free_port, wait_until_ready, workers_of
from tests.waiting import wait_until


class Instance:
    """One instance, on a port that it keeps. Its output is written to `directory`."""

    def __init__(self, environment: Mapping[str, str], directory: Path, name: str) -> None:
        self._port = free_port()
        self._environment = {**os.environ, **environment, "WALLET_HOOKS_LISTEN": f"127.0.0.1:{self._port}"}
        self._log = directory / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def master(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        return workers_of(self.master)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        app = "tests.faults.history.shifted_clock:app"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command(app), env=self._environment, stdout=log, stderr=log)
        wait_until_ready(self.url)

    def reload(self) -> None:
        os.kill(self.master, signal.SIGHUP)

    def stop(self) -> None:
        """Stop it as an operator does, and wait."""
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(30) == 0

    def kill(self) -> None:
        """Kill the master and all workers."""
        assert self._process is not None
        for process in (self.master, *self.workers):
            os.kill(process, signal.SIGKILL)
        self._process.wait(10)

    def kill_master(self) -> None:
        """Kill the master alone, and wait until its workers have ended by themselves."""
        assert self._process is not None
        workers = self.workers
        os.kill(self.master, signal.SIGKILL)
        self._process.wait(10)
        wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers), seconds=30)

    def kill_worker(self) -> None:
        for process in self.workers[:1]:
            os.kill(process, signal.SIGKILL)
