"""The command `wallet-hooks limit`."""

import json
from typing import Any

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import pass_brand_engine
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.policy import AMOUNT_TYPES, FRAMES
from wallet_hooks.limits import operators, service
from wallet_hooks.limits.models import PlayerLimit, RealityCheck
from wallet_hooks.limits.overview import format_limit
from wallet_hooks.limits.rules import OPERATOR, PLAYER, SESSION, setter_of
from wallet_hooks.limits.service import CurrentLimits, player_of
from wallet_hooks.listing import echo_lines
from wallet_hooks.options import JSON, FieldType, of_customer
from wallet_hooks.text_checks import is_whole_number
from wallet_hooks.web.fields import NonBlankText, Reason

_TYPES = (*AMOUNT_TYPES, "time_limit")


@click.group()
def limit() -> None:
    """Player limits, and limits that the operator sets for players."""


def _of_limit(command: Any) -> Any:
    command = click.option("--reason", type=FieldType(Reason()), required=True, help="Stored with the limit.")(command)
    command = click.option("--frame", type=click.Choice(FRAMES), help="Required, except for a time limit.")(command)
    return click.option("--type", "type_", type=click.Choice(_TYPES), required=True, help="What is limited.")(command)


@limit.command()
@of_customer
@JSON
@pass_brand_engine
def show(engine: Engine, client: str, uid: str, as_json: bool) -> None:
    """Show all limits of a customer, past ones too, and what is left of the limits in force."""
    with reading(engine) as session:
        found, brand = customer_by_uid(session, client=client, uid=uid)
        left = _limits_left(session, found, brand)
        query = select(PlayerLimit).where(PlayerLimit.customer_id == found.id).order_by(PlayerLimit.id)
        rows = [_row(row, found.currency) for row in session.scalars(query)]
        check = session.get(RealityCheck, found.id)
        checks = {} if check is None else {"period": check.period, "set_at": check.changed_at.isoformat()}
    if as_json:
        click.echo(json.dumps({"limits": rows, "left": left} | ({"reality_check": checks} if checks else {})))
        return
    echo_lines(map(_line, rows), empty="no limits")
    for name, amount in left.items():
        click.echo(f"left of the tightest {name} limit: {amount}")
    if checks:
        click.echo(f"reality check: {checks['period']}, set at {checks['set_at']}")


@limit.command("set")
@of_customer
@_of_limit
@click.option("--amount", required=True, help="Decimal amount in the customer's currency; for a time limit, minutes.")
@click.option(
    "--by",
    type=FieldType(NonBlankText(max_length=100)),
    default="operator",
    show_default=True,
    help="Name of the person who sets it.",
)
@pass_brand_engine
def set_limit(
    engine: Engine, client: str, uid: str, type_: str, frame: str | None, amount: str, reason: str, by: str
) -> None:
    """Set a limit that the customer cannot relax. It applies from the next bet on."""
    with writing(engine) as session:
        found, brand = customer_by_uid(session, client=client, uid=uid, lock=True)
        current = CurrentLimits(session, player_of(found, brand_facts(brand)), now=clock.now())
        operators.set_by_operator(
            current,
            type_=type_,
            frame=_frame(type_, frame),
            amount=_amount(type_, amount, found.currency),
            reason=reason,
            changed_by=by,
            session=session,
        )
    click.echo(f"{type_} limit of customer {uid} of {client} set to {amount}")


@limit.command()
@of_customer
@_of_limit
@pass_brand_engine
def clear(engine: Engine, client: str, uid: str, type_: str, frame: str | None, reason: str) -> None:
    """Remove a limit that the operator set; the customer's own limits stay."""
    with writing(engine) as session:
        found, brand = customer_by_uid(session, client=client, uid=uid, lock=True)
        current = CurrentLimits(session, player_of(found, brand_facts(brand)), now=clock.now())
        operators.clear_by_operator(current, type_=type_, frame=_frame(type_, frame), reason=reason, session=session)
    click.echo(f"{type_} limit of customer {uid} of {client} cleared")


def _limits_left(session: Session, found: Customer, brand: Brand) -> dict[str, str]:
    now = clock.now()
    player = player_of(found, brand_facts(brand))
    limits, usage = CurrentLimits(session, player, now=now).enforced(), service.usage_of(session, player, now=now)
    left = {type_: limits.left(type_, usage) for type_ in AMOUNT_TYPES}
    return {type_: money.format_amount(minor, found.currency) for type_, minor in left.items() if minor is not None}


def _row(row: PlayerLimit, currency: str) -> dict[str, Any]:
    changed_by, label = setter_of(row.set_by, row.changed_by)
    return {
        "id": row.id,
        "type": row.type,
        "frame": row.frame,
        "amount": None if row.amount is None else format_limit(row.type, row.amount, currency),
        "status": row.status,
        "set_by": row.set_by,
        "changed_by": changed_by,
        "label": label,
        "reason": row.reason,
        "created_at": row.created_at.isoformat(),
        "effective_at": row.effective_at.isoformat(),
        "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        "end_reason": row.end_reason,
    }


def _line(row: dict[str, Any]) -> str:
    reasons = "; ".join(row[name] for name in ("reason", "end_reason") if row[name])
    return (
        f"{row['id']:>6}  {row['type']:<10} {row['frame']:<8} {row['amount'] or 'no limit':>14}"
        f"  {row['status']:<10} by {_setter(row)}, {row['created_at']}  {reasons}"
    )


def _setter(row: dict[str, Any]) -> str:
    """Return who set a limit. A name that the player sent is shown as a label, never as the setter."""
    if row["set_by"] == OPERATOR:
        return f"{OPERATOR} {row['changed_by']}"
    return PLAYER if row["label"] is None else f"{PLAYER} (label {row['label']!r})"


def _frame(type_: str, frame: str | None) -> str:
    if (type_ == "time_limit") == (frame is not None):
        raise click.UsageError("--frame: required for bet, loss and deposit limits; not accepted for a time limit")
    return frame or SESSION


def _amount(type_: str, text: str, currency: str) -> int:
    if type_ != "time_limit":
        return money.parse_amount(text, currency)
    if not is_whole_number(text, digits=4) or not int(text):
        raise RefusedError("bad_value", "amount: a time limit is a whole number of minutes from 1 to 9999")
    return int(text)
