"""Money in, money out, and corrections by people: each a payment, and a transaction of the ledger when it is done."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.cashier.models import Payment
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import balances_of_customers, facts_of
from wallet_hooks.customers.service import OPENING_METHOD
from wallet_hooks.customers.standing import account_refusal
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.exceptions.service import raise_for_payment
from wallet_hooks.identity.directory import BrandFacts, brand_by_id
from wallet_hooks.ledger import rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Line, Posting, fingerprint
from wallet_hooks.limits.deposits import count_deposit, take_deposit
from wallet_hooks.limits.service import Player, player_of

DEPOSIT, WITHDRAWAL, ADJUSTMENT = "deposit", "withdrawal", "adjustment"


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What is asked of the cashier. `amount` in minor units of the customer's currency, of an adjustment also negative.

    The same reference or key with the same facts is done once; with other facts it is a ConflictError. `in_two_steps`
    reserves a deposit, which is confirmed or fails later.
    """

    kind: str
    amount: int
    reference: str
    method: str = "manual"
    key: str | None = None
    in_two_steps: bool = False
    reason: str | None = None
    by: str = "operator"

    def fingerprint(self, customer: Customer) -> str:
        facts = (self.kind, customer.id, customer.currency, self.amount, self.method, self.reference)
        return fingerprint(*facts, self.in_two_steps, self.reason or "")


def move(session: Session, customer: Customer, movement: Movement, *, now: datetime) -> tuple[Payment, bool]:
    """Do what is asked, once. Returns the payment and whether it is new.

    A deposit counts against the customer's limits from when it is reserved; a closed account takes none. What is taken
    from a customer is its own money, never its credit. The caller holds the customer's lock.

    Raises RefusedError (`customer_inactive`, `customer_locked`, `customer_expired`, `deposit_limit_exceeded`,
    `insufficient_funds`, or the code of a bad value), ConflictError.
    """
    _check(movement)
    known = _known(session, customer, movement)
    if known is not None:
        return known, False
    taken = -movement.amount if movement.kind == ADJUSTMENT else movement.amount
    if movement.kind != DEPOSIT and taken > 0:
        _check_own_money(session, customer, taken)
    if movement.kind == DEPOSIT:
        _check_open(customer, now=now)
        _check_offered(customer)
        take_deposit(session, _player(session, customer), movement.amount, now=now)
    payment = Payment(
        brand_id=customer.brand_id,
        customer_id=customer.id,
        kind=movement.kind,
        status="reserved" if movement.in_two_steps else "done",
        amount=movement.amount,
        currency=customer.currency,
        method=movement.method,
        reference=movement.reference,
        key=movement.key,
        fingerprint=movement.fingerprint(customer),
        in_two_steps=movement.in_two_steps,
        reason=movement.reason,
        created_by=movement.by,
        created_at=now,
        finished_at=None if movement.in_two_steps else now,
    )
    session.add(payment)
    session.flush()
    if not movement.in_two_steps:
        _post(session, customer, payment, now=now)
    return payment, True


def confirm(session: Session, customer: Customer, payment_id: int, *, now: datetime) -> Payment:
    """The money of a reserved deposit came; confirming again changes nothing.

    The payment provider has the money already, so it is credited to an account that was closed meanwhile too, and
    an exception is raised for a person to decide on it. Raises NotFoundError, RefusedError.
    """
    payment = _reserved(session, customer, payment_id, "done")
    if payment.status == "reserved":
        payment.status, payment.finished_at = "done", now
        _post(session, customer, payment, now=now)
        if (closed := account_refusal(facts_of(customer), now=now)) is not None:
            raise_for_payment(
                session,
                f"deposit_{closed}",
                client=brand_by_id(session, customer.brand_id).client,
                payment_id=payment.id,
                reference=payment.reference,
                now=now,
            )
    return payment


def fail(session: Session, customer: Customer, payment_id: int, *, now: datetime) -> Payment:
    """The money of a reserved deposit will not come; failing again changes nothing. Otherwise as `confirm`."""
    payment = _reserved(session, customer, payment_id, "failed")
    if payment.status == "reserved":
        payment.status, payment.finished_at = "failed", now
        count_deposit(session, _player(session, customer), -payment.amount, at=payment.created_at)
    return payment


def _player(session: Session, customer: Customer) -> Player:
    return player_of(customer, brand_by_id(session, customer.brand_id))


def _check(movement: Movement) -> None:
    if not 0 < len(movement.reference) <= 100 or not movement.reference.isprintable():
        raise RefusedError("bad_reference", "a reference has 1 to 100 printable characters")
    if movement.key is not None and (not 0 < len(movement.key) <= 100 or not movement.key.isprintable()):
        raise RefusedError("bad_idempotency_key", "an Idempotency-Key has 1 to 100 printable characters")
    if not movement.method.isascii() or not movement.method.replace("-", "").isalnum() or len(movement.method) > 40:
        raise RefusedError("bad_method", "a method is made of letters, digits and -")
    if movement.method == OPENING_METHOD:
        raise RefusedError("bad_method", "opening balances come with the customers that bring them")
    if movement.kind == ADJUSTMENT and not movement.reason:
        raise RefusedError("reason_required", "an adjustment needs a reason")
    if not movement.amount or (movement.amount < 0 and movement.kind != ADJUSTMENT):
        raise RefusedError("amount", "an amount above 0 is expected")


def _known(session: Session, customer: Customer, movement: Movement) -> Payment | None:
    """The payment that was asked for before. Raises ConflictError where its facts were others."""
    is_same: ColumnElement[bool] = (Payment.kind == movement.kind) & (Payment.reference == movement.reference)
    if movement.key is not None:
        is_same |= Payment.key == movement.key
    known = list(session.scalars(select(Payment).where(Payment.brand_id == customer.brand_id, is_same)))
    if any(payment.fingerprint != movement.fingerprint(customer) for payment in known) or len(known) > 1:
        raise ConflictError(f"reference {movement.reference!r} or its key was used before with other facts")
    return known[0] if known else None


def _check_own_money(session: Session, customer: Customer, amount: int) -> None:
    balance = balances_of_customers(session, [customer])[customer.id].balance
    if amount > balance:
        own = f"{money.format_amount(max(0, balance), customer.currency)} {customer.currency}"
        raise RefusedError("insufficient_funds", f"amount: more than the customer's own money, which is {own}")


def _check_open(customer: Customer, *, now: datetime) -> None:
    if (closed := account_refusal(facts_of(customer), now=now)) is not None:
        raise RefusedError(closed, "the customer's account takes no new deposits")


def _check_offered(customer: Customer) -> None:
    if not money.is_offered(customer.currency):
        raise RefusedError("currency_not_supported", f"no deposits in {customer.currency}: it is not offered any more")


def _reserved(session: Session, customer: Customer, payment_id: int, wanted: str) -> Payment:
    payment = session.get(Payment, payment_id)
    if payment is None or payment.customer_id != customer.id or not payment.in_two_steps:
        raise NotFoundError(f"no deposit {payment_id} in two steps")
    if payment.status not in ("reserved", wanted):
        raise RefusedError("already_finished", f"the deposit is {payment.status}")
    return payment


def _post(session: Session, customer: Customer, payment: Payment, *, now: datetime) -> None:
    brand = brand_by_id(session, customer.brand_id)
    reference = f"cashier:{brand.client}:{payment.kind}:{payment.reference}"
    facts = fingerprint(customer.id, payment.currency, payment.amount, payment.method, payment.reason or "")
    lines = _lines(customer, payment, brand)
    posting = Posting(payment.kind, reference, facts, now, brand.booking_day(now), lines, payment.reason)
    ledger.post_one(session, posting, holder_id=customer.id, recorded_at=now)


def _lines(customer: Customer, payment: Payment, brand: BrandFacts) -> tuple[Line, ...]:
    if payment.kind == DEPOSIT:
        return rules.deposited(customer.id, payment.method, customer.currency, payment.amount)
    if payment.kind == WITHDRAWAL:
        return rules.withdrawn(customer.id, payment.method, customer.currency, payment.amount)
    return rules.adjusted(customer.id, brand.client, customer.currency, payment.amount)
