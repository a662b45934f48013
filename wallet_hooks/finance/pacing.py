"""Reads large results slowly while callbacks are taken, so that these stay fast on the same processors."""

import time
from collections.abc import Iterable, Iterator

import pyarrow as pa
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.database.transactions import use_one_process
from wallet_hooks.finance.batches import BATCH_ROWS
from wallet_hooks.ledger.service import newest_reserved_id

# Low priority is not enough: Linux lets a process of any priority run for milliseconds before another that wakes up,
# and PostgreSQL reads at the usual one. Callbacks become slower in proportion to the rows that are read a second.
_ROWS_A_SECOND = 10_000  # a fortieth of what an export reads alone
_CALM = 1.0  # seconds without a new ledger transaction after which no callbacks are taken any more
_CHECKED = 0.05  # seconds after which the ledger is asked again


class Pace:
    """Decides how long a reader pauses. Instants are monotonic, in seconds."""

    def __init__(self) -> None:
        self._reserved: int | None = None
        self._busy_until = 0.0
        self._due = 0.0  # when the rows that were read have taken their time

    def observe(self, reserved: int | None, now: float) -> None:
        """Take notice of the newest reserved transaction id; None if it is not known."""
        if None not in (reserved, self._reserved) and reserved != self._reserved:
            self._busy_until = now + _CALM
        self._reserved = reserved

    def pause(self, rows: int, now: float) -> float:
        """Return for how many seconds to pause after these rows."""
        if now >= self._busy_until:
            return 0.0
        self._due = max(self._due + rows / _ROWS_A_SECOND, now)
        return self._due - now


def at_a_pace(session: Session, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the rows, in larger batches: at most `_ROWS_A_SECOND` while ledger transactions are posted.

    The reader pauses after each of the small batches: while many rows are read without a pause, callbacks wait.
    """
    use_one_process(session)
    pace, check_at = Pace(), 0.0
    gathered: list[pa.RecordBatch] = []
    for batch in batches:
        if (now := clock.monotonic()) >= check_at:
            check_at = now + _CHECKED
            pace.observe(newest_reserved_id(session), now)
        if pause := pace.pause(batch.num_rows, clock.monotonic()):
            time.sleep(pause)
        gathered.append(batch)
        if sum(one.num_rows for one in gathered) >= BATCH_ROWS:
            yield pa.concat_batches(gathered)
            gathered.clear()
    if gathered:
        yield pa.concat_batches(gathered)
