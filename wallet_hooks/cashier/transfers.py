"""Transfers of a customer's own money between its wallets."""

from datetime import datetime

from sqlalchemy.orm import Session

from wallet_hooks.cashier.payments import check_own_money, post_payment
from wallet_hooks.customers.models import Customer, Payment
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger.journal import fingerprint
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
    check_own_money(amount, -balances.get(chart.player(customer.id, currency, source), 0), currency)
    facts = fingerprint(TRANSFER, customer.id, currency, amount, source, target, reference)
    payment = Payment(
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
    session.add(payment)
    session.flush()
    brand = brand_by_id(session, customer.brand_id)
    lines = rules.transferred(customer.id, currency, source, target, amount)
    return post_payment(session, customer, payment, brand, lines, facts, now=now)
