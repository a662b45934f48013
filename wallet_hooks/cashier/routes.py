"""Deposits, withdrawals and adjustments over HTTP, for staff and payment providers."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.cashier import schemas, service
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.callers import managed_customer
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.service import own_amount
from wallet_hooks.customers.usernames import has_username
from wallet_hooks.database import locked, writing
from wallet_hooks.errors import NotFoundError, RefusedError
from wallet_hooks.identity.api_tokens import TokenHolder
from wallet_hooks.v1 import ID, ApiCall, V1Route
from wallet_hooks.web.api import ApiContext

_CASHIER, _FINANCE = "cashier", "finance"


def deposit(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Credit a customer whose account is open, at once or, reserved, when the payment provider confirms."""
    return _move(context, call, username, service.DEPOSIT, in_two_steps=call.given.get("reserve", False))


def confirm_deposit(context: ApiContext, call: ApiCall, username: str, payment_id: int) -> dict[str, Any]:
    """The money of a reserved deposit came: credit it. Again changes nothing. A closed account gets an exception."""
    with writing(context.engine) as session:
        customer = _locked_customer(session, call, username, _CASHIER)
        payment = service.confirm(session, customer, payment_id, now=call.now)
        return schemas.payment_data(payment, status=payment.status)


def fail_deposit(context: ApiContext, call: ApiCall, username: str, payment_id: int) -> dict[str, Any]:
    """The money of a reserved deposit will not come: release it. Again changes nothing."""
    with writing(context.engine) as session:
        customer = _locked_customer(session, call, username, _CASHIER)
        payment = service.fail(session, customer, payment_id, now=call.now)
        return schemas.payment_data(payment, status=payment.status)


def withdraw(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Debit a customer, at most its own money: credit is for betting."""
    return _move(context, call, username, service.WITHDRAWAL)


def adjust(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Give to a customer, or take of its own money, with a reason; for finance."""
    return _move(context, call, username, service.ADJUSTMENT, sign=-1 if call.given.get("take") else 1)


_CUSTOMER = "/v1/customers/<username>"
_DEPOSIT = f"{_CUSTOMER}/deposits/<{ID}:payment_id>"
ROUTES = (
    V1Route("POST", f"{_CUSTOMER}/deposits/", deposit, schemas.DepositShape, tokens=(_CASHIER,)),
    V1Route("POST", f"{_DEPOSIT}/confirm/", confirm_deposit, tokens=(_CASHIER,)),
    V1Route("POST", f"{_DEPOSIT}/fail/", fail_deposit, tokens=(_CASHIER,)),
    V1Route("POST", f"{_CUSTOMER}/withdrawals/", withdraw, schemas.WithdrawalShape, tokens=(_CASHIER,)),
    V1Route(
        "POST",
        f"{_CUSTOMER}/adjustments/",
        adjust,
        schemas.AdjustmentShape,
        tokens=(_FINANCE,),
        only_tokens=True,
    ),
)


def _move(
    context: ApiContext, call: ApiCall, username: str, kind: str, *, in_two_steps: bool = False, sign: int = 1
) -> dict[str, Any]:
    if call.key is None:
        raise RefusedError("idempotency_key_required", "a header Idempotency-Key is expected")
    role = _FINANCE if kind == service.ADJUSTMENT else _CASHIER
    with writing(context.engine) as session:
        customer = _locked_customer(session, call, username, role)
        movement = Movement(
            kind=kind,
            amount=sign * own_amount(call.given["amount"], customer.currency),
            reference=call.given["reference"],
            method=call.given.get("method", "manual"),
            key=call.key,
            in_two_steps=in_two_steps,
            reason=call.given.get("reason"),
            by=_name(call),
        )
        payment, _ = service.move(session, customer, movement, now=call.now)
        # What was answered the first time, whatever became of the payment since.
        return schemas.payment_data(payment, status="reserved" if in_two_steps else "done")


def _locked_customer(session: Session, call: ApiCall, username: str, role: str) -> Customer:
    """The customer, for its group's managers and for holders of a token with the role in its brand."""
    if not isinstance(call.caller, TokenHolder):
        return managed_customer(session, call.customer, username, lock=True)
    query = select(Customer).where(has_username(username))
    customer = session.scalar(locked(query, Customer))
    if customer is None or not call.caller.may(role, customer.brand_id):
        raise NotFoundError(f"no customer {username!r}")
    return customer


def _name(call: ApiCall) -> str:
    return f"token {call.caller.name}" if isinstance(call.caller, TokenHolder) else call.customer.username
