"""The application with a clock that is shifted by the seconds in a file, which `WALLET_HOOKS_HISTORY_CLOCK` names."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wallet_hooks import clock

_shift = Path(os.environ["WALLET_HOOKS_HISTORY_CLOCK"])


def _shifted() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(_shift.read_text() or "0"))


clock.wall_clock = _shifted

from wallet_hooks.wsgi import app  # noqa: E402, F401
