"""What the clients record: every attempt of every operation, with its beginning, its end and its answer."""

from typing import NamedTuple


class Operation(NamedTuple):
    """Something that a client wants done, once, however often it asks.

    `reference` is the reference of the ledger transaction that it makes; None for a read. `amount`, in minor units, is
    what the customer's balance changes by.
    """

    kind: str
    customer: str
    reference: str | None = None
    amount: int = 0


class Attempt(NamedTuple):
    """A request and its answer. The instants are monotonic seconds of one machine.

    `status` is None where there was no answer; `balance` is what a read returned, in minor units.
    """

    operation: Operation
    began: float
    ended: float
    status: int | None
    balance: int | None = None

    @property
    def is_acknowledged(self) -> bool:
        return self.status == 200

    @property
    def is_refused(self) -> bool:
        return self.status in (400, 402, 403, 404, 409, 429)

    @property
    def is_unknown(self) -> bool:
        """Whether the operation may have been done."""
        return self.status is None or self.status in (503, 504)
