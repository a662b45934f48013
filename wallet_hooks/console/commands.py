"""`wallet-hooks staff …`: the people who may sign in to the console."""

from typing import Any

import click
from sqlalchemy import Engine, select

from wallet_hooks import clock
from wallet_hooks.console import audit
from wallet_hooks.console import staff as service
from wallet_hooks.console.models import Staff, StaffAction
from wallet_hooks.customers.login_lock import unlock_login
from wallet_hooks.customers.schemas import ShortName
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.passwords import hash_password
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, FieldType, read_password

_ROLE = click.Choice(service.ROLES)


@click.group()
def staff() -> None:
    """The people who may sign in to the console, and what they did there."""


@staff.command()
@click.option("--username", required=True, type=FieldType(ShortName()), help="The name to sign in with.")
@click.option("--role", required=True, type=_ROLE, help="What the person may see and do.")
@click.option(
    "--password-stdin", is_flag=True, required=True, expose_value=False, help="Read the password from standard input."
)
@click.option("--totp", is_flag=True, help="Require one-time codes, and print the address for an authenticator app.")
@click.pass_obj
def add(engine: Engine, username: str, role: str, totp: bool) -> None:
    """Add a member of staff.

    operations may do everything; finance all but replaying; qa may view pages and replay deliveries.
    """
    hashed = hash_password(read_password())
    if username.startswith("(") or not username.isprintable():
        raise RefusedError("bad_username", "username: begins with a bracket, or has characters that cannot be seen")
    with writing(engine) as session:
        made = service.add(session, username=username, role=role, password_hash=hashed, now=clock.now())
        address = service.require_code(made) if totp else None
        audit.record_command(session, "staff_added", username, {"role": role, "totp": totp}, now=made.created_at)
    click.echo(f"{username} added as {role}")
    if address is not None:
        click.echo(address)


@staff.command()
@click.option("--username", required=True, type=FieldType(ShortName()), help="The name to sign in with.")
@click.option("--role", type=_ROLE, help="A new role.")
@click.option("--active/--inactive", default=None, help="Whether the member of staff may sign in.")
@click.option("--password-stdin", is_flag=True, help="Read a new password from standard input.")
@click.option("--totp/--no-totp", default=None, help="Require one-time codes with a new secret, or none.")
@click.pass_obj
def change(
    engine: Engine, username: str, role: str | None, active: bool | None, password_stdin: bool, totp: bool | None
) -> None:
    """Change a member of staff; this ends its sessions. A new password also ends a lock by wrong passwords."""
    if role is None and active is None and not password_stdin and totp is None:
        raise click.UsageError("no change given: at least one option is expected")
    hashed = hash_password(read_password()) if password_stdin else None
    address = None
    with writing(engine) as session:
        found = service.by_username(session, username)
        before = {"role": found.role, "active": found.active, "totp": found.totp_secret is not None}
        found.role = role or found.role
        found.active = found.active if active is None else active
        if hashed is not None:
            found.password_hash = hashed
            unlock_login(found)
        if totp is not None:
            address = service.require_code(found) if totp else None
            found.totp_secret = found.totp_secret if totp else None
        service.end_logins(session, found.id)
        changes = {"role": role, "active": active, "totp": totp, "password": True if hashed else None}
        given: dict[str, object] = {name: value for name, value in changes.items() if value is not None}
        given |= {f"{name}_before": value for name, value in before.items() if name in given}
        audit.record_command(session, "staff_changed", username, given, now=clock.now())
    click.echo(f"{username} changed")
    if address is not None:
        click.echo(address)


@staff.command("list")
@JSON
@click.pass_obj
def list_staff(engine: Engine, as_json: bool) -> None:
    """List the members of staff."""
    with reading(engine) as session:
        rows = [
            {"username": row.username, "role": row.role, "active": row.active, "totp": row.totp_secret is not None}
            for row in session.scalars(select(Staff).order_by(Staff.id))
        ]
    echo_rows(rows, as_json=as_json, line=_staff_line, empty="no staff")


def _staff_line(row: dict[str, Any]) -> str:
    return f"{row['username']:<24} {row['role']:<12} {'active' if row['active'] else 'inactive'}"


@staff.command("actions")
@JSON
@click.pass_obj
def list_actions(engine: Engine, as_json: bool) -> None:
    """List what staff did in the console, and whom `staff add` and `staff change` added or changed, oldest first."""
    with reading(engine) as session:
        query = select(StaffAction).order_by(StaffAction.id).execution_options(yield_per=1000)
        rows = (
            {
                "at": row.at.isoformat(),
                "username": row.username,
                "action": row.action,
                "subject": row.subject,
                "details": row.details,
                "source": row.source,
                "request_id": row.request_id,
            }
            for row in session.scalars(query)
        )
        echo_rows(rows, as_json=as_json, line=_action_line, empty="no actions")


def _action_line(row: dict[str, Any]) -> str:
    return f"{row['at']}  {row['username']:<16} {row['action']:<20} {row['subject']}"
