"""Worker classes with other times than the service's, so that tests need not wait, or not hurry."""

from typing import Any

from wallet_hooks import worker
from wallet_hooks.web import loop_connection
from wallet_hooks.worker import CallbackWorker

OWN = f"{CallbackWorker.__module__}.{CallbackWorker.__name__}"
PATIENT = "tests.worker_classes.PatientWorker"
HASTY = "tests.worker_classes.HastyWorker"


class PatientWorker(CallbackWorker):
    """Leaves a connection to other workers for so long that even those of a busy machine take it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        worker._PAUSE = 1.0


class HastyWorker(CallbackWorker):
    """Waits for slow clients hardly at all."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        loop_connection.CLIENT_SECONDS = 0.2
