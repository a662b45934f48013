"""Schemas of the cashier's requests and answers."""

from typing import Any

from wallet_hooks.cashier.models import Payment
from wallet_hooks.customers.schemas import Pair, pair
from wallet_hooks.web.fields import BaseSchema, StrictBoolean, Text


class WithdrawalSchema(BaseSchema):
    """`amount` is a pair in the customer's currency; `reference` is the payment provider's id of the payment."""

    method = Text(required=True, min_length=1, max_length=40)
    amount = Pair(moves=True, required=True)
    reference = Text(required=True, min_length=1, max_length=100)


class DepositSchema(WithdrawalSchema):
    """With `reserve` the amount is credited only when the deposit is confirmed."""

    reserve = StrictBoolean()


class AdjustmentSchema(BaseSchema):
    """The amount is credited to the customer, or with `take` debited."""

    amount = Pair(moves=True, required=True)
    reference = Text(required=True, min_length=1, max_length=100)
    reason = Text(required=True, min_length=1, max_length=500)
    take = StrictBoolean()


def payment_data(payment: Payment, *, status: str) -> dict[str, Any]:
    """Return a payment as answers contain it, with the status that the request led to."""
    return {
        "id": payment.id,
        "kind": payment.kind,
        "status": status,
        "amount": pair(payment.amount, payment.currency),
        "method": payment.method,
        "reference": payment.reference,
        "created_at": payment.created_at.isoformat(),
    }
