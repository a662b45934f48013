"""Schemas of the cashier's requests and answers."""

from typing import Any

from wallet_hooks.customers.models import Payment
from wallet_hooks.customers.schemas import pair
from wallet_hooks.web.fields import BaseSchema, Pair, Reason, StrictBoolean, Text


class Reference(Text):
    """The id of a payment: 1 to 100 characters; also an Idempotency-Key."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=100, **kwargs)


class Method(Text):
    """A payment method: 1 to 40 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=40, **kwargs)


class WithdrawalSchema(BaseSchema):
    """`amount` is a pair in the customer's currency; `reference` is the payment provider's id of the payment."""

    method = Method(required=True)
    amount = Pair(moves=True, required=True)
    reference = Reference(required=True)


class DepositSchema(WithdrawalSchema):
    """With `reserve` the amount is credited only when the deposit is confirmed."""

    reserve = StrictBoolean()


class AdjustmentSchema(BaseSchema):
    """The amount is credited to the customer, or with `take` debited."""

    amount = Pair(moves=True, required=True)
    reference = Reference(required=True)
    reason = Reason(required=True)
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
