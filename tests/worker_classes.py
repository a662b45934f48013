"""Worker classes with other times than the service's, so that tests need not wait, or not hurry."""

import os
import signal
import socket
from typing import Any

from wallet_hooks import worker
from wallet_hooks.web import connections, loop_connection
from wallet_hooks.worker import CallbackWorker

OWN = f"{CallbackWorker.__module__}.{CallbackWorker.__name__}"
PATIENT = "tests.worker_classes.PatientWorker"
BRIEF = "tests.worker_classes.BriefWorker"
HASTY = "tests.worker_classes.HastyWorker"
NARROW = "tests.worker_classes.NarrowWorker"
PATIENT_NARROW = "tests.worker_classes.PatientNarrowWorker"
FRUGAL = "tests.worker_classes.FrugalWorker"
TARDY = "tests.worker_classes.TardyWorker"
BRIEF_PAUSE = 2.0
_ACTIVE = worker._ACTIVE


class PatientWorker(CallbackWorker):
    """Waits long for slow clients, and leaves connections to other workers until those of a busy machine take them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        worker._PAUSE = 5.0
        worker._ACTIVE = 300.0
        loop_connection.CLIENT_SECONDS = connections.LINGER_SECONDS = 300.0
        loop_connection.LINGER_SECONDS = 300.0  # type: ignore[attr-defined]
        self.cfg.set("keepalive", 300)  # the pauses of many connections add up


class BriefWorker(PatientWorker):
    """Leaves connections to other workers for a short time, but long enough for those of a busy machine."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        worker._PAUSE, worker._ACTIVE = BRIEF_PAUSE, _ACTIVE


class HastyWorker(CallbackWorker):
    """Waits for slow clients hardly at all."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        loop_connection.CLIENT_SECONDS = 0.2


class _LittleHeldWorker(CallbackWorker):
    """Has the system hold few bytes of an answer that the client does not read."""

    def init_process(self) -> None:
        for listener in self.sockets:
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        super().init_process()


class NarrowWorker(_LittleHeldWorker, HastyWorker):
    """Gives up clients that do not read an answer soon."""


class PatientNarrowWorker(_LittleHeldWorker, PatientWorker):
    """Waits long for clients that do not read an answer."""


class FrugalWorker(PatientNarrowWorker):
    """The worker holds little of the answers, too."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        worker._UNSENT_CAP = 200_000


class TardyWorker(CallbackWorker):
    """The first one gets SIGTERM before it handles signals."""

    def init_process(self) -> None:
        if self.age == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        super().init_process()
