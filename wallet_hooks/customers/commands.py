"""`wallet-hooks customer …`."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, TextIO

import click
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.customers import groups
from wallet_hooks.customers.commission import parse_percent
from wallet_hooks.customers.credit import credit_limit_changes
from wallet_hooks.customers.groups import group_by_name
from wallet_hooks.customers.models import REQUIRED_ROLE, ROLES, Customer
from wallet_hooks.customers.overview import customer_row
from wallet_hooks.customers.profiles import change_profile
from wallet_hooks.customers.queries import balances_of_customers, customer_by_uid
from wallet_hooks.customers.schemas import PROFILE_FIELDS, DisplayName, ShortName
from wallet_hooks.customers.service import NewCustomer, change_customer, create_customers, expiry_of
from wallet_hooks.database import has_brand_schemas, reading, refresh_statistics, writing
from wallet_hooks.database.brand_commands import each_brand, pass_brand_engine
from wallet_hooks.database.brand_schemas import seeing_brand
from wallet_hooks.errors import RefusedError, WalletHooksError
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.passwords import hash_password
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.listing import echo_rows
from wallet_hooks.options import JSON, FieldType, of_customer, read_password
from wallet_hooks.text_checks import read_field
from wallet_hooks.web.fields import Identifier, Instant

_IMPORT_COLUMNS = ("brand", "uid", "username", "currency", "balance", "credit_limit")
_BATCH = 1000
_EXPIRY_HELP = (
    "From then on the customer cannot bet: a time (UTC if it has no offset), or the end of a date in the brand's zone."
)
_UID, _USERNAME = Identifier(), ShortName()


@click.group()
def customer() -> None:
    """Customers, their limits and their money."""
    # `customer show` is in accounts_api/commands.py, because it shows wallets and limits as well.


@customer.command()
@click.option("--brand", "client", required=True, help="The brand's client name.")
@click.option("--uid", required=True, type=FieldType(Identifier()), help="The customer's id at the operator.")
@click.option("--username", required=True, type=FieldType(ShortName()), help="The name to sign in with.")
@click.option("--currency", required=True, help="ISO 4217 code.")
@click.option("--credit-limit", default="0", show_default=True, help="Decimal amount in the currency.")
@click.option(
    "--max-stake-per-event",
    help="Decimal amount: the most that may be staked on one event; returned stakes do not count.",
)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="Repeatable. A customer without bet_placer cannot bet.",
)
@click.option("--name", default="", type=FieldType(DisplayName()), help="Display name.")
@click.option("--group", "group_name", help="The group that it belongs to.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; a hash is stored.")
@click.option("--inactive", is_flag=True, help="May neither sign in nor bet.")
@click.option("--locked", is_flag=True, help="Lock it, as a manager does: no logins, no bets.")
@click.option("--expires-at", type=FieldType(Instant()), help=_EXPIRY_HELP)
@pass_brand_engine
def create(
    engine: Engine,
    /,
    client: str,
    currency: str,
    credit_limit: str,
    max_stake_per_event: str | None,
    roles: Sequence[str],
    password_stdin: bool,
    inactive: bool,
    expires_at: Any,
    group_name: str | None,
    **facts: Any,
) -> None:
    """Create a customer with empty accounts."""
    stake_limit = None if max_stake_per_event is None else money.parse_limit(max_stake_per_event, currency)
    new = NewCustomer(
        currency=currency,
        credit_limit=money.parse_limit(credit_limit, currency),
        max_stake_per_event=stake_limit,
        roles=(REQUIRED_ROLE, *roles),
        active=not inactive,
        password_hash=hash_password(read_password()) if password_stdin else None,
        **facts,
    )
    with writing(engine) as session:
        brand = brand_by_client(session, client)
        new = replace(new, expires_at=expiry_of(expires_at, brand_facts(brand)))
        if group_name is not None:
            new = replace(new, group_id=group_by_name(session, brand=brand, name=group_name).id)
        create_customers(session, brand, [new], now=clock.now())
    click.echo(f"customer {new.uid} of {client} created")


class _InstantOrNone(FieldType):
    """A date or time as the API takes it, or the word `none`."""

    def __init__(self) -> None:
        super().__init__(Instant())

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "none" else super().convert(value, param, ctx)


def _profile_options(command: Any) -> Any:
    for name, field in reversed(PROFILE_FIELDS.items()):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, type=FieldType(field), help="Shown by the account API.")(command)
    return command


@customer.command()
@of_customer
@click.option("--username", type=FieldType(ShortName()), help="A new name to sign in with.")
@click.option("--name", type=FieldType(DisplayName()), help="Display name.")
@click.option("--credit-limit", help="Decimal amount in the customer's currency.")
@click.option("--comment", help="Stored with the change of the credit limit.")
@click.option("--max-stake-per-event", help="Decimal amount, or none.")
@click.option("--commission-rate", metavar="PERCENT", help="Of net winnings, for stakes from --commission-from on.")
@click.option("--commission-from", type=click.DateTime(["%Y-%m-%d"]), help="Default: today in the brand's time zone.")
@click.option("--role", "roles", multiple=True, type=click.Choice(ROLES), help="Repeatable; replaces all roles.")
@click.option("--active/--inactive", default=None, help="Whether the customer may log in and bet.")
@click.option("--lock/--unlock", "locked", default=None, help="Stop logins and bets, or allow them again.")
@click.option("--expires-at", type=_InstantOrNone(), help=f"{_EXPIRY_HELP} Or none.")
@click.option("--group", "group_name", help="Move to this group.")
@click.option("--password-stdin", is_flag=True, help="Read a new password; ends the customer's sessions.")
@click.option("--referred-by", metavar="USERNAME", help="The customer who referred this one; an empty text removes it.")
@_profile_options
@pass_brand_engine
def change(engine: Engine, /, client: str, uid: str, password_stdin: bool, **options: Any) -> None:
    """Change a customer. The next bet uses the new values."""
    if options["commission_from"] is not None and options["commission_rate"] is None:
        raise click.UsageError("--commission-from: only together with --commission-rate")
    hashed = hash_password(read_password()) if password_stdin else None
    with writing(engine) as session:
        found, brand = customer_by_uid(session, client=client, uid=uid, lock=True)
        given = _given(found, brand_facts(brand), options)
        if hashed is not None:
            given["password_hash"] = hashed
        if options["group_name"] is not None:
            given["group_id"] = group_by_name(session, brand=brand, name=options["group_name"]).id
        profile = {name: options[name] for name in PROFILE_FIELDS if options[name] is not None}
        if options["referred_by"] is not None:
            profile["referred_by_id"] = _referrer(session, found, options["referred_by"])
        if not given and not profile:
            raise click.UsageError("no change given: at least one option is expected")
        if given:
            change_customer(session, found, given, by="operator", now=clock.now())
        if profile:
            change_profile(session, found, profile)
    click.echo(f"customer {uid} of {client} changed")


def _referrer(session: Session, found: Customer, username: str) -> int | None:
    if not username:
        return None
    referrer = groups.customer_by_username(session, username)
    if referrer.id == found.id:
        raise RefusedError("bad_referrer", "referred_by: a customer cannot refer itself")
    return referrer.id


def _given(found: Customer, brand: BrandFacts, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as `change_customer` takes them."""
    plain = ("username", "name", "active", "locked")
    given: dict[str, Any] = {name: options[name] for name in plain if options[name] is not None}
    if options["comment"] is not None:
        given["credit_limit_comment"] = options["comment"]
    if (expires_at := options["expires_at"]) is not None:
        given["expires_at"] = expiry_of(None if expires_at == "none" else expires_at, brand)
    currency = found.currency
    if options["credit_limit"] is not None:
        given["credit_limit"] = (currency, money.parse_limit(options["credit_limit"], currency))
    if (stake := options["max_stake_per_event"]) is not None:
        given["max_stake_per_event"] = None if stake == "none" else (currency, money.parse_limit(stake, currency))
    if options["commission_rate"] is not None:
        since = options["commission_from"]
        since = brand.booking_day(clock.now()) if since is None else since.date()
        given["commission_rate"] = {"date_from": since, "rate_pc": parse_percent(options["commission_rate"])}
    if options["roles"]:
        given["roles"] = {role: role in (REQUIRED_ROLE, *options["roles"]) for role in ROLES}
    return given


@customer.command("credit-history")
@of_customer
@JSON
@pass_brand_engine
def credit_history(engine: Engine, client: str, uid: str, as_json: bool) -> None:
    """List every credit limit that was set, oldest first."""
    with reading(engine) as session:
        found, _ = customer_by_uid(session, client=client, uid=uid)
        rows = [
            {
                "amount": money.format_amount(change.amount, change.currency),
                "currency": change.currency,
                "timestamp": change.changed_at.isoformat(),
                "by": change.changed_by,
                "comment": change.comment,
            }
            for change in credit_limit_changes(session, found)
        ]
    echo_rows(
        rows,
        as_json=as_json,
        line=lambda row: f"{row['timestamp']}  {row['amount']:>20} {row['currency']}  {row['by']}  {row['comment']}",
        empty="no credit limits",
    )


@customer.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@click.pass_obj
def import_(engine: Engine, file: TextIO) -> None:
    """Create customers from a CSV file: brand,uid,username,currency,balance,credit_limit. All of them or none.

    Further columns may be first_name, last_name, locale, region, timezone, country, discount_rate, points_balance.
    """
    rows = csv.DictReader(file)
    try:
        columns = set(rows.fieldnames or ())
    except (csv.Error, UnicodeError) as error:
        raise click.ClickException(f"line 1: {error}") from None
    if not set(_IMPORT_COLUMNS) <= columns <= {*_IMPORT_COLUMNS, *PROFILE_FIELDS}:
        optional = ", ".join(PROFILE_FIELDS)
        raise click.UsageError(
            f"the first line must name the columns {','.join(_IMPORT_COLUMNS)}; optional columns are {optional}"
        )
    count = 0
    filled: dict[int | None, int] = {}  # a brand's id by schema
    try:
        with writing(engine) as session:
            for client, batch in _batches(_read_rows(rows)):
                brand = brand_by_client(session, client)
                with seeing_brand(session.connection(), brand.id):
                    create_customers(session, brand, batch, now=clock.now())
                filled[brand.id if has_brand_schemas(engine) else None] = brand.id
                count += len(batch)
            for brand_id in filled.values():
                with seeing_brand(session.connection(), brand_id):
                    refresh_statistics(session, "customer", "ledger_account")
    except (csv.Error, UnicodeError) as error:
        raise click.ClickException(f"line {rows.line_num + 1}: {error}") from None
    click.echo(f"{count} customers imported")


@customer.command("list")
@click.option("--brand", "client", help="Only this brand's.")
@JSON
@pass_brand_engine
def list_(engine: Engine, client: str | None, as_json: bool) -> None:
    """List customers with their money."""
    engines = each_brand(engine) if client is None else (engine,)
    rows = (row for own in engines for row in _listed(own, client))
    echo_rows(rows, as_json=as_json, line=_customer_line, empty="no customers")


def _customer_line(row: dict[str, Any]) -> str:
    return (
        f"{row['brand']:<16} {row['uid']:<12} {row['username']:<16} {row['balance']:>16} {row['currency']}"
        f"  open {row['open_stakes']}, credit {row['credit_limit']}"
    )


def _read_rows(rows: "csv.DictReader[str]") -> Iterator[tuple[str, NewCustomer]]:
    for row in rows:
        try:
            yield row["brand"], _read_row(row)
        except (WalletHooksError, money.MoneyError) as error:
            raise click.ClickException(f"line {rows.line_num}: {error}") from None


def _read_row(row: dict[str, str]) -> NewCustomer:
    if None in row.values() or None in row:
        raise RefusedError("columns", "as many columns as in the first line are expected")
    currency = row["currency"]
    return NewCustomer(
        uid=read_field(_UID, row["uid"], name="uid"),
        username=read_field(_USERNAME, row["username"], name="username"),
        currency=currency,
        balance=money.parse_amount(row["balance"] or "0", currency),
        credit_limit=money.parse_limit(row["credit_limit"] or "0", currency),
        profile={
            name: read_field(PROFILE_FIELDS[name], row[name], name=name) for name in PROFILE_FIELDS if row.get(name)
        },
    )


def _batches(rows: Iterable[tuple[str, NewCustomer]]) -> Iterator[tuple[str, Sequence[NewCustomer]]]:
    for client, group in groupby(rows, key=lambda row: row[0]):
        while batch := [new for _, new in islice(group, _BATCH)]:
            yield client, batch


def _listed(engine: Engine, client: str | None) -> Iterator[dict[str, Any]]:
    query = select(Customer, Brand).join(Brand, Brand.id == Customer.brand_id)
    with reading(engine) as session:
        if client is not None:
            query = query.where(Customer.brand_id == brand_by_client(session, client).id)
        last = 0
        while rows := session.execute(query.where(Customer.id > last).order_by(Customer.id).limit(_BATCH)).all():
            money_of = balances_of_customers(session, [found for found, _ in rows])
            for found, brand in rows:
                yield customer_row(found, brand, money_of[found.id])
            last = rows[-1][0].id
            session.expunge_all()
