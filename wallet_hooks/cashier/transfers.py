"""Transfers of a customer's own money between its wallets."""

from datetime import datetime

from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import Customer, Payment, payment_reference
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Posting, fingerprint
from wallet_hooks.ledger.queries import balances_of

TRANSFER = "transfer"


def transfer(
    session: Session, customer: Customer, *, source: str, target: str, amount: int, reference: str, now: datetime
) -> int:
    """Move own money, never credit, from one wallet to another. Return the ledger transaction's id.

    `amount` is in minor units of the customer's currency; `reference` is unique in the brand. The caller must hold the
    customer's lock. Raises RefusedError (`insufficient_funds`).
    """
    currency = customer.currency
    balances = balances_of(session, holder_ids=[customer.id])
    own = max(0, -balances.get(chart.player(customer.id, currency, source), 0))
    if amount > own:
        available = f"{money.format_amount(own, currency)} {currency}"
        raise RefusedError("insufficient_funds", f"amount: above the wallet's own money, which is {available}")
    facts = fingerprint(TRANSFER, customer.id, currency, amount, source, target, reference)
    session.add(
        Payment(
            brand_id=customer.brand_id,
            customer_id=customer.id,
            kind=TRANSFER,
            status="done",
            amount=amount,
            currency=currency,
            method=f"{source}-{target}",
            reference=reference,
            fingerprint=facts,
            in_two_steps=False,
            created_by=customer.username,
            created_at=now,
            finished_at=now,
        )
    )
    session.flush()
    brand = brand_by_id(session, customer.brand_id)
    lines = rules.transferred(customer.id, currency, source, target, amount)
    ledger_reference = payment_reference(brand.client, TRANSFER, reference)
    posting = Posting(TRANSFER, ledger_reference, facts, now, brand.booking_day(now), lines)
    transaction_id, _ = ledger.post_one(session, posting, holder_id=customer.id, recorded_at=now)
    return transaction_id
