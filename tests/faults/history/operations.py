"""What the clients record: every attempt of every operation, with its beginning, its end and its answer."""

from typing import NamedTuple

_BUSY = 429
# What people call may be answered 429, when too many calls wait: nothing was done.
_CALLS = ("deposit", "withdrawal", "transfer", "read", "limits")


class HistoryOperation(NamedTuple):
    """Something that a client wants done, once, however often it asks.

    `reference` is the reference of the ledger transaction that it makes; None for a read, and for a transfer, whose
    reference the service chooses. `amount`, in minor units, is what the customer's balance changes by. `refusal` is the
    status with which the operation must be refused; None for one that there is no reason to refuse.
    """

    kind: str
    customer: str
    reference: str | None = None
    amount: int = 0
    refusal: int | None = None


class Attempt(NamedTuple):
    """A request and its answer. The instants are monotonic seconds of one machine.

    `status` is None where there was no answer; `balance` is what a read returned, in minor units. `is_cut` says that
    the connection was accepted, and no answer came.
    """

    operation: HistoryOperation
    began: float
    ended: float
    status: int | None
    balance: int | None = None
    is_cut: bool = False

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200 and self.operation.refusal is None

    @property
    def is_refused(self) -> bool:
        """Whether it was refused as it may be; nothing was done then."""
        if self.status == _BUSY:
            return self.operation.kind in _CALLS
        return self.status is not None and self.status == self.operation.refusal

    @property
    def is_unknown(self) -> bool:
        """Whether the operation may have been done."""
        return self.status is None or self.status in (503, 504)
