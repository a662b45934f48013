"""Credit limits and their history."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import CreditLimitChange, Customer


def set_credit_limit(
    session: Session, customer: Customer, amount: int, *, comment: str, by: str, now: datetime
) -> None:
    """Set a customer's credit limit, in minor units of its currency, and record who set it and why.

    The caller holds the customer's lock. A limit below the credit in use only stops new bets.
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
    """Return the changes, oldest first."""
    query = select(CreditLimitChange).where(CreditLimitChange.customer_id == customer.id)
    return list(session.scalars(query.order_by(CreditLimitChange.id)))
