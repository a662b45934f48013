"""The shapes of the cashier's calls, in and out."""

from typing import Any

from wallet_hooks.cashier.models import Payment
from wallet_hooks.customers.schemas import Pair, pair
from wallet_hooks.web.shapes import BaseSchema, StrictBoolean, Text


class WithdrawalShape(BaseSchema):
    """`amount` is a pair in the customer's currency; `reference` what the payment provider calls the payment."""

    method = Text(required=True, min_length=1, max_length=40)
    amount = Pair(moves=True, required=True)
    reference = Text(required=True, min_length=1, max_length=100)


class DepositShape(WithdrawalShape):
    """With `reserve` the money is credited when the deposit is confirmed."""

    reserve = StrictBoolean()


class AdjustmentShape(BaseSchema):
    """`take` turns what is given to the customer into what is taken."""

    amount = Pair(moves=True, required=True)
    reference = Text(required=True, min_length=1, max_length=100)
    reason = Text(required=True, min_length=1, max_length=500)
    take = StrictBoolean()


def payment_data(payment: Payment, *, status: str) -> dict[str, Any]:
    """A payment as it goes out, with the status that the call brought it to."""
    return {
        "id": payment.id,
        "kind": payment.kind,
        "status": status,
        "amount": pair(payment.amount, payment.currency),
        "method": payment.method,
        "reference": payment.reference,
        "created_at": payment.created_at.isoformat(),
    }
