"""Create and change customers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.commission import Schedule, with_rate
from wallet_hooks.customers.credit import set_credit_limit
from wallet_hooks.customers.login_lock import unlock_login
from wallet_hooks.customers.models import REQUIRED_ROLE, ROLES, Customer
from wallet_hooks.customers.profiles import change_profile
from wallet_hooks.customers.usernames import (
    change_username,
    check_username,
    folded,
    store_usernames,
    taken_usernames,
)
from wallet_hooks.errors import ConflictError, RefusedError
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Posting, fingerprint

OPENING_METHOD = "opening"  # the payment method of opening balances


@dataclass(frozen=True, kw_only=True)
class NewCustomer:
    """A new customer. Amounts in minor units of `currency`; `balance` is the opening balance."""

    uid: str
    username: str
    currency: str
    credit_limit: int = 0
    max_stake_per_event: int | None = None
    roles: Collection[str] = (REQUIRED_ROLE, "bet_placer")
    name: str = ""
    active: bool = True
    locked: bool = False
    expires_at: datetime | None = None
    password_hash: str | None = None
    balance: int = 0
    group_id: int | None = None
    commission_rates: Schedule = ()
    credit_limit_comment: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)


def create_customers(
    session: Session, brand: Brand, new: Sequence[NewCustomer], *, now: datetime, by: str = "operator"
) -> list[Customer]:
    """Create customers with their accounts, and post their opening balances.

    The number of statements is fixed where none has a profile. `by` is who sets their credit limits. Raises
    ConflictError naming the first uid or username that is taken, and RefusedError or MoneyError for an invalid value.
    """
    for customer in new:
        _check(customer)
    _check_free(session, brand, new)
    customers = [
        Customer(
            brand_id=brand.id,
            uid=customer.uid,
            username=customer.username,
            name=customer.name,
            password_hash=customer.password_hash,
            currency=customer.currency,
            credit_limit=customer.credit_limit,
            max_stake_per_event=customer.max_stake_per_event,
            active=customer.active,
            locked=customer.locked,
            expires_at=customer.expires_at,
            roles=sorted(set(customer.roles)),
            created_at=now,
            group_id=customer.group_id,
            commission_rates=customer.commission_rates,
        )
        for customer in new
    ]
    session.add_all(customers)
    session.flush()
    store_usernames(session, customers)
    for created, facts in zip(customers, new, strict=True):
        if facts.credit_limit or facts.credit_limit_comment:
            set_credit_limit(session, created, facts.credit_limit, comment=facts.credit_limit_comment, by=by, now=now)
        if facts.profile:
            change_profile(session, created, facts.profile)
    _open_with_balances(session, brand, list(zip(customers, new, strict=True)), now=now)
    return customers


def change_customer(session: Session, customer: Customer, given: Mapping[str, Any], *, by: str, now: datetime) -> None:
    """Change the given fields of a customer, whose lock the caller holds. Bets that commit afterwards use them.

    `given` may have username, password_hash, group_id, name, roles (by role, whether it is assigned), credit_limit
    and max_stake_per_event (currency and minor units; the latter None for none), credit_limit_comment,
    commission_rate (date_from, rate_pc), active, locked, expires_at, ccy_code. Raises ConflictError where the username
    is taken, RefusedError for an invalid value.
    """
    if given.get("ccy_code", customer.currency) != customer.currency:
        raise RefusedError("currency_fixed", "ccy_code: a customer's currency cannot be changed")
    if "username" in given and given["username"] != customer.username:
        _set_username(session, customer, given["username"])
    if "roles" in given:
        roles = {**dict.fromkeys(customer.roles, True), **given["roles"]}
        customer.roles = sorted(role for role, is_assigned in roles.items() if is_assigned)
    if "commission_rate" in given:
        rate = given["commission_rate"]
        customer.commission_rates = with_rate(
            customer.commission_rates, date_from=rate["date_from"], rate=rate["rate_pc"]
        )
    _change_limits(session, customer, given, by=by, now=now)
    for name in ("username", "password_hash", "group_id", "name", "active", "locked", "expires_at"):
        if name in given:
            setattr(customer, name, given[name])
    _change_login(session, customer, given)
    session.flush()


def _change_login(session: Session, customer: Customer, given: Mapping[str, Any]) -> None:
    if given.get("locked") is False:
        unlock_login(customer)
    if "password_hash" in given:
        customer.failed_logins = 0  # the counted failures were for the old password
    if "password_hash" in given or given.get("locked") or given.get("active") is False:
        login_sessions.end_all(session, customer_id=customer.id)


def _set_username(session: Session, customer: Customer, username: str) -> None:
    check_username(username)
    if folded(username) != folded(customer.username) and taken_usernames(session, [folded(username)]):
        raise ConflictError(f"username {username!r} is taken")
    change_username(session, customer, username)


def _change_limits(session: Session, customer: Customer, given: Mapping[str, Any], *, by: str, now: datetime) -> None:
    if "credit_limit" in given:
        amount = own_amount(given["credit_limit"], customer.currency)
        comment = given.get("credit_limit_comment", "")
        set_credit_limit(session, customer, amount, comment=comment, by=by, now=now)
    elif "credit_limit_comment" in given:
        raise RefusedError("comment_without_limit", "credit_limit_comment: only together with credit_limit")
    if "max_stake_per_event" in given:
        stake = given["max_stake_per_event"]
        customer.max_stake_per_event = None if stake is None else own_amount(stake, customer.currency)


def own_amount(pair: tuple[str, int], currency: str) -> int:
    """Return the minor units of a pair. Raises RefusedError unless it is in the customer's own currency."""
    if pair[0] != currency:
        raise RefusedError("wrong_currency", f"{pair[0]}: an amount in {currency} is expected")
    return pair[1]


def expiry_of(given: date | None, brand: BrandFacts) -> datetime | None:
    """Return the instant (UTC) from which a customer is expired; after a date, when that day is over for the brand."""
    return given if given is None or isinstance(given, datetime) else brand.end_of(given)


def opening_reference(client: str, uid: str) -> str:
    """Return the ledger's reference of a customer's opening balance."""
    return f"customer:{client}:{uid}:opening"


def _open_with_balances(
    session: Session, brand: Brand, pairs: Sequence[tuple[Customer, NewCustomer]], *, now: datetime
) -> None:
    connection = session.connection()
    journal = ledger.prepare(connection, count=len(pairs), recorded_at=now)
    for customer, _ in pairs:
        journal.open(chart.player(customer.id, customer.currency))
        journal.open(chart.open_stakes(customer.id, customer.currency))
    booked_on = brand_facts(brand).booking_day(now)
    for customer, new in pairs:
        if new.balance:
            lines = rules.deposited(customer.id, OPENING_METHOD, new.currency, new.balance)
            reference = opening_reference(brand.client, customer.uid)
            facts = fingerprint(new.currency, new.balance)
            journal.post(Posting("deposit", reference, facts, now, booked_on, lines, "opening balance"))
    ledger.save(connection, journal)


def _check(new: NewCustomer) -> None:
    money.check_offered(new.currency)
    check_username(new.username)
    unknown = set(new.roles) - set(ROLES)
    if unknown:
        raise RefusedError("unknown_role", f"unknown role {min(unknown)!r}")
    if REQUIRED_ROLE not in new.roles:
        raise RefusedError("bad_roles", f"roles.{REQUIRED_ROLE}: must be true")


def _check_free(session: Session, brand: Brand, new: Sequence[NewCustomer]) -> None:
    uids = [customer.uid for customer in new]
    names = [folded(customer.username) for customer in new]
    taken = session.scalars(select(Customer.uid).where(Customer.brand_id == brand.id, Customer.uid.in_(uids))).all()
    if taken or len(set(uids)) < len(uids):
        raise ConflictError(f"uid {(taken or _repeated(uids))[0]!r} of brand {brand.client!r} is taken")
    taken = taken_usernames(session, names)
    if taken or len(set(names)) < len(names):
        raise ConflictError(f"username {(taken or _repeated(names))[0]!r} is taken")


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for index, value in enumerate(values) if value in values[:index]]
