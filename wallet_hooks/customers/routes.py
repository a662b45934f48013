"""Login sessions, customers and groups over HTTP (docs/protocols/customers.md)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers import groups, schemas
from wallet_hooks.customers.callers import (
    end_login,
    find_login,
    known_customer,
    managed_customer,
    managed_group,
    manages_any_group,
)
from wallet_hooks.customers.credit import credit_limit_changes
from wallet_hooks.customers.login import log_in
from wallet_hooks.customers.models import REQUIRED_ROLE, Customer
from wallet_hooks.customers.permitted_changes import check_permitted
from wallet_hooks.customers.queries import Listing, customer_pages, facts_of, group_totals
from wallet_hooks.customers.refusals import betting_refusal
from wallet_hooks.customers.service import NewCustomer, change_customer, create_customers, expiry_of, own_amount
from wallet_hooks.database import reading, writing
from wallet_hooks.database.bulk import run
from wallet_hooks.errors import ForbiddenError
from wallet_hooks.identity.countries import COUNTRY_RULES, country_rules, permit
from wallet_hooks.identity.directory import BrandFacts, brand_by_id, brand_facts
from wallet_hooks.identity.login_sessions import Caller
from wallet_hooks.identity.models import Brand
from wallet_hooks.identity.passwords import hash_password
from wallet_hooks.v1 import ID, ApiCall, ListPage, V1Route
from wallet_hooks.web.api import ApiContext
from wallet_hooks.web.token_guesses import looking_up_token

_MAX_PAGE = 1000
_NO_SESSION = "the session is unknown or has ended"


def authenticate(context: ApiContext, token: str, now: datetime) -> Caller:
    """Return whose login session the token is, and record its use. Raises UnauthenticatedError."""
    expected = "a header Session with the token of a login session is expected"
    return find_login(context.engine, token, now=now, idle=context.settings.login_idle, otherwise=expected)[0]


def begin_session(context: ApiContext, call: ApiCall) -> str:
    """Log in. Returns the token for the header Session."""
    idle = context.settings.login_idle
    return log_in(context.engine, **call.given, source=call.source.text, now=call.now, idle=idle)


def show_session(context: ApiContext, call: ApiCall, token: str) -> dict[str, Any]:
    """Return whose session it is, and when it ends if it is not used."""
    idle = context.settings.login_idle
    with looking_up_token(token, call.source.address):
        caller, found = find_login(context.engine, token, now=call.now, idle=idle, otherwise=_NO_SESSION)
    return {
        "username": caller.username,
        "customer_id": caller.id,
        "created_at": found.created_at.isoformat(),
        "expires_at": (found.used_at + idle).isoformat(),
    }


def end_session(context: ApiContext, call: ApiCall, token: str) -> None:
    """Log out."""
    with looking_up_token(token, call.source.address):
        end_login(context.engine, token, now=call.now, idle=context.settings.login_idle, otherwise=_NO_SESSION)


def create_customer(context: ApiContext, call: ApiCall) -> dict[str, Any]:
    """Create a customer in a group that the caller manages."""
    given = call.given
    with reading(context.engine) as session:
        managed_group(session, call.customer, given["group_id"])
    new = _new_customer(given)
    with writing(context.engine) as session:
        group = managed_group(session, call.customer, given["group_id"])
        brand = session.get_one(Brand, group.brand_id)
        new = replace(new, expires_at=expiry_of(given.get("expires_at"), brand_facts(brand)))
        (customer,) = create_customers(session, brand, [new], now=call.now, by=call.customer.username)
        return schemas.customer_data(customer, brand_facts(brand), now=call.now)


def list_customers(context: ApiContext, call: ApiCall) -> Iterator[list[Any]] | ListPage:
    """Return the customers that the caller may see: itself, and those of the groups that it manages."""
    given = call.given
    wanted = Listing(
        caller=call.customer,
        with_inactive=given["inactive"],
        ids=given.get("customer_ids"),
        after=given.get("after", 0),
    )
    if "limit" not in given:
        return _all_listed(context, call, wanted)
    size = min(max(given["limit"], 1), _MAX_PAGE)
    with reading(context.engine) as session:
        rows = next(customer_pages(session, wanted, batch=size), [])
        more = len(rows) == size
        return ListPage(_rows(session, call, rows), rows[-1].id if more else None)


def show_customer(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """One customer."""
    with reading(context.engine) as session:
        return _customer(session, known_customer(session, call.customer, username), call)


def patch_customer(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Change a customer of a group that the caller manages. The next bet uses the new values."""
    given = dict(call.given)
    if "password" in given:
        with reading(context.engine) as session:
            customer = managed_customer(session, call.customer, username)
            check_permitted(session, customer, {"password": given["password"]})  # before the slow hash
        given["password_hash"] = hash_password(given.pop("password"))
    with writing(context.engine) as session:
        customer = managed_customer(session, call.customer, username, lock=True)
        if "expires_at" in given:
            given["expires_at"] = expiry_of(given["expires_at"], _brand(session, customer))
        check_permitted(session, customer, given)
        if "group_id" in given:
            managed_group(session, call.customer, given["group_id"])
        change_customer(session, customer, given, by=call.customer.username, now=call.now)
        return _customer(session, customer, call)


def can_place_bets(context: ApiContext, call: ApiCall, username: str) -> dict[str, Any]:
    """Return whether the caller may bet from the address that it calls from."""
    address = call.source.address
    country = context.countries.of(address)
    with reading(context.engine) as session:
        customer = known_customer(session, call.customer, username)
        if customer.id != call.customer.id:
            raise ForbiddenError("customers can ask this only about themselves")
        found = country_rules(run(session.connection(), COUNTRY_RULES([(customer.brand_id,)])))
    is_permitted = permit(found, customer.brand_id, country)
    refusal = betting_refusal(facts_of(customer), is_country_permitted=is_permitted, now=call.now)
    if refusal == "country_not_permitted" and country is None:
        refusal = "country_unknown"
    return {
        "can_place_bets": refusal is None,
        "reason": refusal,
        "ip_address": str(address) if address else None,
        "country": country,
    }


def show_credit_limit_history(context: ApiContext, call: ApiCall, username: str) -> list[dict[str, Any]]:
    """Return every credit limit that was set, oldest first."""
    with reading(context.engine) as session:
        customer = known_customer(session, call.customer, username)
        return [schemas.credit_limit_data(change) for change in credit_limit_changes(session, customer)]


def list_groups(context: ApiContext, call: ApiCall) -> list[dict[str, Any]]:
    """Return the groups that the caller manages, with balances and credit limits of their customers by currency."""
    with reading(context.engine) as session:
        return [
            {
                "id": group.id,
                "name": group.name,
                "ccy_code": currency,
                "customers": totals.customers,
                "balance": schemas.pair(totals.balances.get(currency, 0), currency),
                "credit_limit": schemas.pair(totals.credit_limits.get(currency, 0), currency),
                "balances": [schemas.pair(minor, code) for code, minor in sorted(totals.balances.items())],
                "credit_limits": [schemas.pair(minor, code) for code, minor in sorted(totals.credit_limits.items())],
            }
            for group, currency, totals in group_totals(session, manager_id=call.customer.id)
        ]


def create_group(context: ApiContext, call: ApiCall) -> dict[str, Any]:
    """Create a group that the caller manages; it must manage another already."""
    with writing(context.engine) as session:
        if not manages_any_group(session, call.customer):
            raise ForbiddenError("only managers of groups may create groups")
        caller = session.get_one(Customer, call.customer.id)
        brand_id, name = caller.brand_id, call.given["name"]
        group = groups.create_group(session, brand_id=brand_id, name=name, managers=[caller], now=call.now)
        return {"id": group.id, "name": group.name}


def add_group_manager(context: ApiContext, call: ApiCall, group_id: int) -> None:
    """Make a customer that the caller may see a manager of a group that the caller manages."""
    with writing(context.engine) as session:
        group = managed_group(session, call.customer, group_id)
        groups.add_manager(session, group, known_customer(session, call.customer, call.given["username"]))


def remove_group_manager(context: ApiContext, call: ApiCall, group_id: int, username: str) -> None:
    """Remove a manager from a group."""
    with writing(context.engine) as session:
        group = managed_group(session, call.customer, group_id)
        groups.remove_manager(session, group, username)


_CUSTOMER = "/v1/customers/<username>/"
GROUP = f"/v1/groups/<{ID}:group_id>/"
ROUTES = (
    V1Route("POST", "/v1/sessions/", begin_session, schemas.LoginSchema, is_open=True),
    V1Route("GET", "/v1/sessions/<token>/", show_session, is_open=True),
    V1Route("DELETE", "/v1/sessions/<token>/", end_session, is_open=True),
    V1Route("POST", "/v1/customers/", create_customer, schemas.NewCustomerSchema),
    V1Route("GET", "/v1/customers/", list_customers, schemas.ListSchema),
    V1Route("GET", _CUSTOMER, show_customer),
    V1Route("PATCH", _CUSTOMER, patch_customer, schemas.ChangedCustomerSchema),
    V1Route("GET", f"{_CUSTOMER}can_place_bets/", can_place_bets),
    V1Route("GET", f"{_CUSTOMER}credit_limit_history/", show_credit_limit_history),
    V1Route("GET", "/v1/groups/", list_groups),
    V1Route("POST", "/v1/groups/", create_group, schemas.NewGroupSchema),
    V1Route("POST", f"{GROUP}managers/", add_group_manager, schemas.ManagerSchema),
    V1Route("DELETE", f"{GROUP}managers/<username>/", remove_group_manager),
)


def _new_customer(given: dict[str, Any]) -> NewCustomer:
    currency = given["ccy_code"]
    money.check_offered(currency)
    roles = given.get("roles", {REQUIRED_ROLE: True})
    stake, rate = given.get("max_stake_per_event"), given.get("commission_rate")
    return NewCustomer(
        uid=given.get("uid", given["username"]),
        username=given["username"],
        currency=currency,
        credit_limit=own_amount(given.get("credit_limit", (currency, 0)), currency),
        credit_limit_comment=given.get("credit_limit_comment", ""),
        max_stake_per_event=None if stake is None else own_amount(stake, currency),
        roles=[role for role, is_assigned in roles.items() if is_assigned],
        name=given.get("name", ""),
        active=given.get("active", True),
        locked=given.get("locked", False),
        group_id=given["group_id"],
        commission_rates=((rate["date_from"], rate["rate_pc"]),) if rate else (),
        password_hash=hash_password(given["password"]),
    )


def _all_listed(context: ApiContext, call: ApiCall, wanted: Listing) -> Iterator[list[Any]]:
    """Batch by batch, each in a transaction of its own, so that a slow reader keeps no transaction open."""
    while True:
        with reading(context.engine) as session:
            rows = next(customer_pages(session, wanted, batch=_MAX_PAGE), [])
            batch = _rows(session, call, rows)
        if not batch:
            return
        yield batch
        wanted = wanted._replace(after=rows[-1].id)


def _rows(session: Session, call: ApiCall, customers: list[Customer]) -> list[Any]:
    managers = groups.managers_among(session, customers) if call.given["permissions"] else None
    brand = _brand(session, customers[0]) if customers else None
    return [
        schemas.customer_data(
            customer,
            brand,
            now=call.now,
            last_login=call.given["last_login"],
            manages=None if managers is None else customer.id in managers,
        )
        for customer in customers
        if brand is not None
    ]


def _customer(session: Session, customer: Customer, call: ApiCall) -> dict[str, Any]:
    return schemas.customer_data(customer, _brand(session, customer), now=call.now)


def _brand(session: Session, customer: Customer) -> BrandFacts:
    return brand_by_id(session, customer.brand_id)
