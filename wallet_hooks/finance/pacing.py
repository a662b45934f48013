"""Reads large results slowly while callbacks are taken, so that these stay fast on the same processors."""

import time
from collections.abc import Iterable, Iterator

import pyarrow as pa
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.database.transactions import use_one_process
from wallet_hooks.ledger.queries import count_reserved_ids

# The priority of a process does not help: PostgreSQL reads for it in a process of its own, at the usual one.
_ROWS_A_SECOND = 50_000  # an eighth of what an export reads alone
_CALM = 1.0  # seconds without a new ledger transaction after which no callbacks are taken any more


class Pace:
    """Decides how long a reader pauses after each batch. Instants are monotonic, in seconds."""

    def __init__(self) -> None:
        self._reserved: int | None = None
        self._busy_until = 0.0
        self._due = 0.0  # when the rows that were read have taken their time

    def pause(self, rows: int, reserved: int | None, now: float) -> float:
        """Return for how many seconds to pause after a batch of `rows` rows.

        `reserved` is the number of transaction ids that were reserved until now; None if it is not known.
        """
        if None not in (reserved, self._reserved) and reserved != self._reserved:
            self._busy_until = now + _CALM
        self._reserved = reserved
        if now >= self._busy_until:
            return 0.0
        self._due = max(self._due + rows / _ROWS_A_SECOND, now)
        return self._due - now


def at_a_pace(session: Session, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the batches: at most 50,000 rows a second while ledger transactions are posted, else without a pause."""
    use_one_process(session)
    pace = Pace()
    for batch in batches:
        time.sleep(pace.pause(batch.num_rows, count_reserved_ids(session), clock.monotonic()))
        yield batch
