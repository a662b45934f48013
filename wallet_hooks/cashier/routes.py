"""HTTP calls for deposits, withdrawals and adjustments, used by staff and payment providers."""

from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks import clock
from wallet_hooks.cashier import schemas, service
from wallet_hooks.cashier.schemas import Reference
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.callers import managed_customer, managed_groups
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.service import own_amount
from wallet_hooks.customers.usernames import engine_of_customer, has_username, unknown_customer
from wallet_hooks.database import locked, writing
from wallet_hooks.errors import ForbiddenError, RefusedError
from wallet_hooks.identity.api_tokens import TokenHolder
from wallet_hooks.text_checks import read_field
from wallet_hooks.v1 import ID, ApiCall, V1Route
from wallet_hooks.web.api import ApiContext

_CASHIER, _FINANCE = "cashier", "finance"


def deposit(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Deposit: credit an active customer, at once or, with `reserve`, when the payment provider confirms."""
    return _move(context, call, username, service.DEPOSIT, in_two_steps=call.given.get("reserve", False))


def confirm_deposit(context: ApiContext, call: ApiCall, username: str, payment_id: int) -> dict[str, Any]:
    """Confirm a reserved deposit: credit it. Idempotent. An exception is raised if the customer may not deposit now."""
    with writing(_engine(context, call, username)) as session:
        customer = _locked_customer(session, call, username, _CASHIER)
        payment = service.confirm(session, customer, payment_id, now=clock.now())
        return schemas.payment_data(payment, status=payment.status)


def fail_deposit(context: ApiContext, call: ApiCall, username: str, payment_id: int) -> dict[str, Any]:
    """Fail a reserved deposit: release it without credit. Idempotent."""
    with writing(_engine(context, call, username)) as session:
        customer = _locked_customer(session, call, username, _CASHIER)
        payment = service.fail(session, customer, payment_id, now=clock.now())
        return schemas.payment_data(payment, status=payment.status)


def withdraw(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Withdraw a customer's own money; the credit limit cannot be withdrawn."""
    return _move(context, call, username, service.WITHDRAWAL)


def adjust(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Adjust a balance with a reason: credit a customer, or with `take` debit its own money. For role finance."""
    return _move(context, call, username, service.ADJUSTMENT, sign=-1 if call.given.get("take") else 1)


_CUSTOMER = "/v1/customers/<username>"
_DEPOSIT = f"{_CUSTOMER}/deposits/<{ID}:payment_id>"
ROUTES = (
    V1Route("POST", f"{_CUSTOMER}/deposits/", deposit, schemas.DepositSchema, tokens=(_CASHIER,)),
    V1Route("POST", f"{_DEPOSIT}/confirm/", confirm_deposit, tokens=(_CASHIER,)),
    V1Route("POST", f"{_DEPOSIT}/fail/", fail_deposit, tokens=(_CASHIER,)),
    V1Route("POST", f"{_CUSTOMER}/withdrawals/", withdraw, schemas.WithdrawalSchema, tokens=(_CASHIER,)),
    V1Route(
        "POST",
        f"{_CUSTOMER}/adjustments/",
        adjust,
        schemas.AdjustmentSchema,
        tokens=(_FINANCE,),
        only_tokens=True,
    ),
)


def _move(
    context: ApiContext, call: ApiCall, username: str, kind: str, *, in_two_steps: bool = False, sign: int = 1
) -> dict[str, Any]:
    if call.key is None:
        raise RefusedError("idempotency_key_required", "header Idempotency-Key is required")
    role = _FINANCE if kind == service.ADJUSTMENT else _CASHIER
    with writing(_engine(context, call, username)) as session:
        customer = _locked_customer(session, call, username, role)
        movement = Movement(
            kind=kind,
            amount=sign * own_amount(call.given["amount"], customer.currency),
            reference=call.given["reference"],
            method=call.given.get("method", "manual"),
            key=read_field(Reference(), call.key, name="idempotency_key"),
            in_two_steps=in_two_steps,
            reason=call.given.get("reason"),
            by=_caller_name(call),
        )
        payment, _ = service.move(session, customer, movement, now=clock.now())
        # A repeated request gets the first answer, even if the payment was confirmed or failed since.
        return schemas.payment_data(payment, status="reserved" if in_two_steps else "done")


def _engine(context: ApiContext, call: ApiCall, username: str) -> Engine:
    """Return the engine that sees the customer's tables; an API token may be for all brands. Raises NotFoundError."""
    is_of_any_brand = isinstance(call.caller, TokenHolder)
    return engine_of_customer(context.engine, username) if is_of_any_brand else context.engine


def _locked_customer(session: Session, call: ApiCall, username: str, role: str) -> Customer:
    """Return the customer, with its row locked, for managers of its group and for API tokens of the role in its brand.

    Raises NotFoundError, and ForbiddenError for the caller itself and a manager of groups that are not the caller's.
    """
    if not isinstance(call.caller, TokenHolder):
        managed = managed_customer(session, call.customer, username, lock=True)
        if not set(managed_groups(session, managed.id)) <= set(managed_groups(session, call.customer.id)):
            raise ForbiddenError("the customer manages groups that you do not manage")
        return managed
    query = select(Customer).where(has_username(username))
    if call.caller.brand_id is not None:  # in the query, so that no other brand's customer is locked
        query = query.where(Customer.brand_id == call.caller.brand_id)
    customer = session.scalar(locked(query, Customer))
    if customer is None or not call.caller.may(role, customer.brand_id):
        raise unknown_customer(username)
    return customer


def _caller_name(call: ApiCall) -> str:
    return f"token {call.caller.name}" if isinstance(call.caller, TokenHolder) else call.customer.username
