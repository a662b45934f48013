"""`wallet-hooks cashier …`."""

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.cashier import service
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.queries import customer_by_uid, standings
from wallet_hooks.database import Fault, fault_of, writing


@click.group()
def cashier() -> None:
    """Deposits, withdrawals and adjustments by staff."""


def _movement_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--brand", "client", required=True, help="The brand's client name."),
            click.option("--uid", required=True, help="The customer's id at the operator."),
            click.option("--amount", required=True, help="Decimal amount in the customer's currency."),
            click.option("--reference", required=True, help="Used again with the same facts, it is done once."),
        )
    ):
        command = option(command)
    return command


@cashier.command()
@_movement_options
@click.option("--method", default="manual", show_default=True, help="How the money came.")
@click.pass_obj
def deposit(engine: Engine, /, **facts: str) -> None:
    """Credit a customer."""
    _run(engine, service.deposit, **facts)


@cashier.command()
@_movement_options
@click.option("--method", default="manual", show_default=True, help="How the money went.")
@click.pass_obj
def withdraw(engine: Engine, /, **facts: str) -> None:
    """Debit a customer, at most what it may spend."""
    _run(engine, service.withdraw, **facts)


@cashier.command()
@_movement_options
@click.option("--reason", required=True, help="Kept with the transaction.")
@click.pass_obj
def adjust(engine: Engine, /, **facts: str) -> None:
    """Give to a customer, or take with a negative amount (--amount=-5.00)."""
    _run(engine, service.adjust, **facts)


def _run(engine: Engine, act: Callable[..., bool], *, amount: str, **facts: Any) -> None:
    try:
        done, available = _act(engine, act, amount, facts)
    except Exception as error:
        if fault_of(error) is not Fault.DUPLICATE:
            raise
        done, available = _act(engine, act, amount, facts)  # the same reference came twice at once: now it is known
    click.echo(f"{'done' if done else 'done before'}; available {available}")


def _act(engine: Engine, act: Callable[..., bool], amount: str, facts: dict[str, Any]) -> tuple[bool, str]:
    with writing(engine) as session:
        currency = _currency(session, facts)
        sign, digits = (-1, amount[1:]) if amount.startswith("-") else (1, amount)
        movement = Movement(amount=sign * money.parse_amount(digits, currency), **facts)
        done = act(session, movement, now=clock.now())
        customer, _ = customer_by_uid(session, client=facts["client"], uid=facts["uid"])
        return done, money.format_amount(standings(session, [customer])[customer.id].available, currency)


def _currency(session: Session, facts: dict[str, Any]) -> str:
    customer, _ = customer_by_uid(session, client=facts["client"], uid=facts["uid"])
    return customer.currency
