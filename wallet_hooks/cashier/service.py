"""Payments: deposits, withdrawals and adjustments by staff. A payment that is done has a ledger transaction."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.cashier.payments import check_own_money, post_payment
from wallet_hooks.customers.models import Customer, Payment, PaymentKey
from wallet_hooks.customers.queries import balances_of_customers, facts_of
from wallet_hooks.customers.refusals import account_refusal
from wallet_hooks.customers.service import OPENING_METHOD
from wallet_hooks.errors import ConflictError, NotFoundError, RefusedError
from wallet_hooks.exceptions.service import raise_for_payment
from wallet_hooks.identity.directory import BrandFacts, brand_by_id
from wallet_hooks.ledger import rules
from wallet_hooks.ledger.journal import Line, fingerprint
from wallet_hooks.limits.deposits import count_deposit, take_deposit
from wallet_hooks.limits.service import Player, player_of
from wallet_hooks.text_checks import is_label

DEPOSIT, WITHDRAWAL, ADJUSTMENT = "deposit", "withdrawal", "adjustment"


@dataclass(frozen=True, kw_only=True)
class Movement:
    """A requested payment. `amount` is in minor units of the customer's currency; only an adjustment may be negative.

    The same reference or key with the same facts is done once; with other facts it is a ConflictError. `in_two_steps`
    reserves a deposit, which is confirmed or fails later. `by` is who requested it.
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
    """Make a payment once. Return the payment and whether it is new.

    A deposit counts against the customer's limits from its reservation on. Withdrawals and negative adjustments take
    own money only, never credit. The caller must hold the customer's lock.

    Raises RefusedError (`customer_inactive`, `customer_locked`, `customer_expired`, `deposit_limit_exceeded`,
    `insufficient_funds`, `currency_not_supported`, or the code of a bad value), ConflictError.
    """
    _check_values(movement)
    claimed = _claimed_key(session, customer, movement)
    earlier = _earlier_payment(session, customer, movement, claimed)
    if earlier is not None:
        if claimed is None:
            _claim_key(session, earlier, movement)
        return earlier, False
    taken = -movement.amount if movement.kind == ADJUSTMENT else movement.amount
    if movement.kind != DEPOSIT and taken > 0:
        _check_own_money(session, customer, taken)
    if movement.kind == DEPOSIT:
        _check_may_deposit(customer, now=now)
        _check_currency(customer)
        take_deposit(session, _player(session, customer), movement.amount, now=now)
    payment = _new_payment(customer, movement, now)
    session.add(payment)
    session.flush()
    _claim_key(session, payment, movement)
    if not movement.in_two_steps:
        _post(session, customer, payment, now=now)
    return payment, True


def _new_payment(customer: Customer, movement: Movement, now: datetime) -> Payment:
    return Payment(
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


def confirm(session: Session, customer: Customer, payment_id: int, *, now: datetime) -> Payment:
    """Credit a reserved deposit. Idempotent.

    The payment provider has taken the money already, so the deposit is credited even if the reserve has expired, or the
    customer was locked, set inactive or expired since; then an exception is raised for staff. Raises NotFoundError, and
    RefusedError (`already_finished`).
    """
    payment = _reserved_payment(session, customer, payment_id, "done")
    if payment.status == "reserved":
        late = "reserve_expired" if payment.is_expired(now=now) else None
        reasons = (late, account_refusal(facts_of(customer), now=now))
        payment.status, payment.finished_at = "done", now
        _post(session, customer, payment, now=now)
        for reason in filter(None, reasons):
            raise_for_payment(
                session,
                f"deposit_{reason}",
                client=brand_by_id(session, customer.brand_id).client,
                payment_id=payment.id,
                reference=payment.reference,
                now=now,
            )
    return payment


def fail(session: Session, customer: Customer, payment_id: int, *, now: datetime) -> Payment:
    """Release a reserved deposit, expired or not, without credit. Idempotent. Raises NotFoundError, RefusedError."""
    payment = _reserved_payment(session, customer, payment_id, "failed")
    if payment.status == "reserved":
        payment.status, payment.finished_at = "failed", now
        count_deposit(session, _player(session, customer), -payment.amount, at=payment.created_at)
    return payment


def _player(session: Session, customer: Customer) -> Player:
    return player_of(customer, brand_by_id(session, customer.brand_id))


def _check_values(movement: Movement) -> None:
    _check_id(movement.reference, "bad_reference", "reference")
    if movement.key is not None:
        _check_id(movement.key, "bad_idempotency_key", "Idempotency-Key")
    if not movement.method.isascii() or not movement.method.replace("-", "").isalnum():
        raise RefusedError("bad_method", f"method: {movement.method!r}; letters, digits and - are accepted")
    if movement.method == OPENING_METHOD:
        raise RefusedError(
            "bad_method", f"method: {OPENING_METHOD!r} is reserved for opening balances of imported customers"
        )
    if not movement.amount or (movement.amount < 0 and movement.kind != ADJUSTMENT):
        raise RefusedError("bad_amount", "amount: above 0 is required")


def _check_id(id_: str, code: str, what: str) -> None:
    if not is_label(id_):
        raise RefusedError(code, f"{what}: {id_!r}; printable characters without white space at the ends are accepted")


def _claimed_key(session: Session, customer: Customer, movement: Movement) -> PaymentKey | None:
    return None if movement.key is None else session.get(PaymentKey, (customer.brand_id, movement.key))


def _claim_key(session: Session, payment: Payment, movement: Movement) -> None:
    """Keep the key of a request for a payment, so that no other payment is made with it.

    Where another request claims it meanwhile, the unique key refuses it, and the request is tried again.
    """
    if movement.key is not None:
        session.add(PaymentKey(brand_id=payment.brand_id, key=movement.key, payment_id=payment.id))


def _earlier_payment(
    session: Session, customer: Customer, movement: Movement, claimed: PaymentKey | None
) -> Payment | None:
    """Return the payment with this reference or key, if any. Raises ConflictError if its facts differ."""
    is_same: ColumnElement[bool] = (Payment.kind == movement.kind) & (Payment.reference == movement.reference)
    if movement.key is not None:
        is_same |= Payment.key == movement.key
    if claimed is not None:
        is_same |= Payment.id == claimed.payment_id
    known = list(session.scalars(select(Payment).where(Payment.brand_id == customer.brand_id, is_same)))
    facts = movement.fingerprint(customer)
    for payment in known:
        if movement.key is not None and (payment.key, payment.fingerprint) == (movement.key, facts):
            return payment  # an earlier release does not know the keys of repetitions
    if any(payment.fingerprint != facts for payment in known) or len(known) > 1:
        raise ConflictError(f"reference {movement.reference!r} or its key was used before with other facts")
    return known[0] if known else None


def _check_own_money(session: Session, customer: Customer, amount: int) -> None:
    balance = balances_of_customers(session, [customer])[customer.id].balance
    check_own_money(amount, balance, customer.currency)


def _check_may_deposit(customer: Customer, *, now: datetime) -> None:
    if (refusal := account_refusal(facts_of(customer), now=now)) is not None:
        raise RefusedError(refusal, "the customer is inactive, locked or expired: no new deposits")


def _check_currency(customer: Customer) -> None:
    if not money.is_offered(customer.currency):
        raise RefusedError("currency_not_supported", f"currency: {customer.currency} is not offered any more")


def _reserved_payment(session: Session, customer: Customer, payment_id: int, target_status: str) -> Payment:
    payment = session.get(Payment, payment_id)
    if payment is None or payment.customer_id != customer.id or not payment.in_two_steps:
        raise NotFoundError(f"no reserved deposit {payment_id}")
    if payment.status not in ("reserved", target_status):
        raise RefusedError("already_finished", f"deposit {payment_id} is {payment.status} already")
    return payment


def _post(session: Session, customer: Customer, payment: Payment, *, now: datetime) -> None:
    brand = brand_by_id(session, customer.brand_id)
    facts = fingerprint(customer.id, payment.currency, payment.amount, payment.method, payment.reason or "")
    post_payment(session, customer, payment, brand, _lines(customer, payment, brand), facts, now=now)


def _lines(customer: Customer, payment: Payment, brand: BrandFacts) -> tuple[Line, ...]:
    if payment.kind == DEPOSIT:
        return rules.deposited(customer.id, payment.method, customer.currency, payment.amount)
    if payment.kind == WITHDRAWAL:
        return rules.withdrawn(customer.id, payment.method, customer.currency, payment.amount)
    return rules.adjusted(customer.id, brand.client, customer.currency, payment.amount)
