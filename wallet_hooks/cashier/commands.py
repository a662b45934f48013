"""`wallet-hooks cashier …`."""

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import Engine

from wallet_hooks import clock, money
from wallet_hooks.cashier import service
from wallet_hooks.cashier.schemas import Method, Reference
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.queries import balances_of_customers, customer_by_uid
from wallet_hooks.database import run_with_retries, writing
from wallet_hooks.database.brand_commands import pass_brand_engine
from wallet_hooks.options import FieldType, of_customer
from wallet_hooks.web.fields import Reason


@click.group()
def cashier() -> None:
    """Deposits, withdrawals and adjustments by staff."""


def _movement_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            of_customer,
            click.option("--amount", required=True, help="Decimal amount in the customer's currency."),
            click.option(
                "--reference",
                required=True,
                type=FieldType(Reference()),
                help="Unique id of the payment: repeating the same payment has no effect.",
            ),
        )
    ):
        command = option(command)
    return command


@cashier.command()
@_movement_options
@click.option("--method", type=FieldType(Method()), default="manual", show_default=True, help="Payment method.")
@pass_brand_engine
def deposit(engine: Engine, /, **facts: str) -> None:
    """Credit a customer. Refused if the customer is inactive, locked or expired."""
    _run(engine, service.DEPOSIT, **facts)


@cashier.command()
@_movement_options
@click.option("--method", type=FieldType(Method()), default="manual", show_default=True, help="Payment method.")
@pass_brand_engine
def withdraw(engine: Engine, /, **facts: str) -> None:
    """Debit a customer's own money; the credit limit cannot be withdrawn."""
    _run(engine, service.WITHDRAWAL, **facts)


@cashier.command()
@_movement_options
@click.option("--reason", type=FieldType(Reason()), required=True, help="Stored with the ledger transaction.")
@pass_brand_engine
def adjust(engine: Engine, /, **facts: str) -> None:
    """Credit a customer, or debit its own money with a negative amount (--amount=-5.00)."""
    _run(engine, service.ADJUSTMENT, **facts)


def _run(engine: Engine, kind: str, **facts: str) -> None:
    is_new, available = run_with_retries(lambda: _move(engine, kind, **facts))
    click.echo(f"{'done' if is_new else 'done before'}; available {available}")


def _move(
    engine: Engine, kind: str, *, client: str, uid: str, amount: str, reference: str, **facts: Any
) -> tuple[bool, str]:
    with writing(engine) as session:
        customer, _ = customer_by_uid(session, client=client, uid=uid, lock=True)
        minor = money.parse_signed(amount, lambda digits: money.parse_amount(digits, customer.currency))
        movement = Movement(kind=kind, amount=minor, reference=reference, **facts)
        _, is_new = service.move(session, customer, movement, now=clock.now())
        available = balances_of_customers(session, [customer])[customer.id].available
        return is_new, money.format_amount(available, customer.currency)
