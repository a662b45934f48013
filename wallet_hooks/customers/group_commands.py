"""`wallet-hooks group …`."""

from typing import Any

import click
from sqlalchemy import Engine, select

from wallet_hooks import clock
from wallet_hooks.customers import groups
from wallet_hooks.customers.groups import group_by_name
from wallet_hooks.customers.models import Group
from wallet_hooks.customers.schemas import GroupName, ShortName
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_commands import each_brand, pass_brand_engine
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, FieldType


@click.group()
def group() -> None:
    """Groups of customers and their managers."""


@group.command("add")
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--name", required=True, type=FieldType(GroupName()), help="The group's name.")
@click.option("--manager", "managers", multiple=True, help="Username of a customer of the brand; repeatable.")
@pass_brand_engine
def add_group(engine: Engine, client: str, name: str, managers: tuple[str, ...]) -> None:
    """Add a group of customers."""
    with writing(engine) as session:
        brand = brand_by_client(session, client)
        chosen = [groups.customer_by_username(session, username) for username in managers]
        made = groups.create_group(session, brand_id=brand.id, name=name, managers=chosen, now=clock.now())
    click.echo(f"group {made.id} {name} of {client} added")


@group.command("list")
@JSON
@click.pass_obj
def list_groups(engine: Engine, as_json: bool) -> None:
    """List the groups with their managers."""
    rows: list[dict[str, Any]] = []
    for own in each_brand(engine):
        with reading(own) as session:
            rows += [
                {
                    "id": row.id,
                    "brand": client,
                    "name": row.name,
                    "managers": groups.managers_of(session, row),
                    "created_at": row.created_at.isoformat(),
                }
                for row, client in session.execute(
                    select(Group, Brand.client).join(Brand, Brand.id == Group.brand_id).order_by(Group.id)
                )
            ]
    echo_rows(
        rows,
        as_json=as_json,
        line=lambda row: f"{row['id']:>6}  {row['brand']:<16} {row['name']:<24} {', '.join(row['managers'])}",
        empty="no groups",
    )


@group.command("manager")
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--name", required=True, help="The group's name.")
@click.option("--username", required=True, type=FieldType(ShortName()), help="The manager's username.")
@click.option("--remove", is_flag=True, help="Remove the manager from the group.")
@pass_brand_engine
def manager(engine: Engine, client: str, name: str, username: str, remove: bool) -> None:
    """Add a manager to a group, or remove one."""
    with writing(engine) as session:
        found = group_by_name(session, brand=brand_by_client(session, client), name=name)
        if remove:
            groups.remove_manager(session, found, username)
        else:
            groups.add_manager(session, found, groups.customer_by_username(session, username))
    click.echo(f"{username} {'no longer manages' if remove else 'manages'} {name}")
