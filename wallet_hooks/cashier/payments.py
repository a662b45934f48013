"""What deposits, withdrawals, adjustments and transfers share: the check of own money, and the posting."""

from datetime import datetime

from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer, Payment, payment_reference
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Line, Posting


def check_own_money(amount: int, balance: int, currency: str) -> None:
    """Raise RefusedError (`insufficient_funds`) for an amount above a wallet's balance; credit does not count."""
    if amount > max(0, balance):
        own = f"{money.format_amount(max(0, balance), currency)} {currency}"
        raise RefusedError("insufficient_funds", f"amount: above the wallet's own money, which is {own}")


def post_payment(
    session: Session,
    customer: Customer,
    payment: Payment,
    brand: BrandFacts,
    lines: tuple[Line, ...],
    facts: str,
    *,
    now: datetime,
) -> int:
    """Post a payment, and return the ledger transaction's id. `facts` is a fingerprint of what it was decided on."""
    reference = payment_reference(brand.client, payment.kind, payment.reference)
    posting = Posting(payment.kind, reference, facts, now, brand.booking_day(now), lines, payment.reason)
    transaction_id, _ = ledger.post_one(session, posting, holder_id=customer.id, recorded_at=now)
    return transaction_id
