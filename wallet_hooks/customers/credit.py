"""Credit limits, and every change that was made to one."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import CreditLimitChange, Customer


def set_credit_limit(
    session: Session, customer: Customer, amount: int, *, comment: str, by: str, now: datetime
) -> None:
    """Set what a customer may owe, in minor units of its currency, and keep who did it and why.

    The caller holds the customer's lock. Below what is used it stops new bets, and nothing else.
    """
    customer.credit_limit = amount
    session.add(
        CreditLimitChange(
            customer_id=customer.id,
            amount=amount,
            currency=customer.currency,
            changed_at=now,
            comment=comment,
            changed_by=by,
        )
    )


def credit_limit_changes(session: Session, customer: Customer) -> list[CreditLimitChange]:
    """Oldest first."""
    query = select(CreditLimitChange).where(CreditLimitChange.customer_id == customer.id)
    return list(session.scalars(query.order_by(CreditLimitChange.id)))
