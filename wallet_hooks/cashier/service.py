"""Money in, money out, and corrections by people."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import customer_by_uid, standings
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Line, Posting, fingerprint
from wallet_hooks.ledger.models import Transaction


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What is asked of the cashier. `amount` in minor units of the customer's currency.

    The same reference with the same facts is done once; with other facts it is a ConflictError.
    """

    client: str
    uid: str
    amount: int
    reference: str
    method: str = "manual"
    reason: str | None = None


def deposit(session: Session, movement: Movement, *, now: datetime) -> bool:
    """Credit a customer. Returns False where it was done before. Raises NotFoundError, RefusedError, ConflictError."""
    customer, brand = _lock(session, movement)
    lines = rules.deposited(customer.id, movement.method, customer.currency, _positive(movement))
    return _post(session, "deposit", movement, customer, brand, lines, now)


def withdraw(session: Session, movement: Movement, *, now: datetime) -> bool:
    """Debit a customer, whose spendable amount it may not exceed. Otherwise as `deposit`."""
    customer, brand = _lock(session, movement)
    lines = rules.withdrawn(customer.id, movement.method, customer.currency, _positive(movement))
    if not _is_known(session, "withdrawal", movement, brand):
        _check_available(session, customer, movement.amount)
    return _post(session, "withdrawal", movement, customer, brand, lines, now)


def adjust(session: Session, movement: Movement, *, now: datetime) -> bool:
    """Give to a customer or take (a negative amount), with a reason. Otherwise as `deposit`."""
    if not movement.reason:
        raise RefusedError("reason_required", "an adjustment needs a reason")
    customer, brand = _lock(session, movement)
    if not movement.amount:
        raise RefusedError("amount", "an amount of 0 moves nothing")
    if movement.amount < 0 and not _is_known(session, "adjustment", movement, brand):
        _check_available(session, customer, -movement.amount)
    lines = rules.adjusted(customer.id, brand.client, customer.currency, movement.amount)
    return _post(session, "adjustment", movement, customer, brand, lines, now)


def _lock(session: Session, movement: Movement) -> tuple[Customer, Brand]:
    if not 0 < len(movement.reference) <= 100 or not movement.reference.isprintable():
        raise RefusedError("bad_reference", "a reference has 1 to 100 printable characters")
    if not movement.method.isascii() or not movement.method.replace("-", "").isalnum() or len(movement.method) > 40:
        raise RefusedError("bad_method", "a method is made of letters, digits and -")
    return customer_by_uid(session, client=movement.client, uid=movement.uid, lock=True)


def _positive(movement: Movement) -> int:
    if movement.amount <= 0:
        raise RefusedError("amount", "an amount above 0 is expected")
    return movement.amount


def _check_available(session: Session, customer: Customer, amount: int) -> None:
    if amount > standings(session, [customer])[customer.id].available:
        code = "credit_limit_exceeded" if customer.credit_limit else "insufficient_funds"
        raise RefusedError(code, "more than the customer may spend")


def _reference(kind: str, movement: Movement, brand: Brand) -> str:
    return f"cashier:{brand.client}:{kind}:{movement.reference}"


def _is_known(session: Session, kind: str, movement: Movement, brand: Brand) -> bool:
    reference = _reference(kind, movement, brand)
    return session.scalar(select(Transaction.id).where(Transaction.reference == reference)) is not None


def _post(
    session: Session,
    kind: str,
    movement: Movement,
    customer: Customer,
    brand: Brand,
    lines: tuple[Line, ...],
    now: datetime,
) -> bool:
    facts = fingerprint(customer.id, customer.currency, movement.amount, movement.method, movement.reason or "")
    day = brand_facts(brand).booking_day(now)
    reference = _reference(kind, movement, brand)
    posting = Posting(kind, reference, facts, now, day, lines, movement.reason)
    _, is_new = ledger.post_one(session, posting, holder_id=customer.id, recorded_at=now)
    return is_new
