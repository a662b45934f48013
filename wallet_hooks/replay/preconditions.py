"""Preconditions of cases, written into their database: customers with money and limits, and rates.

Brands, providers, countries and betslips are in `case_database.py`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.commission import Schedule, parse_percent
from wallet_hooks.customers.models import REQUIRED_ROLE, Customer
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.identity.directory import BrandFacts, brand_facts
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.ledger import rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Posting, fingerprint
from wallet_hooks.ledger.models import ExchangeRate
from wallet_hooks.ledger.rates import set_rate
from wallet_hooks.limits import service as limits
from wallet_hooks.limits.operators import set_by_operator
from wallet_hooks.limits.rules import SESSION
from wallet_hooks.replay.fixture import read_instant

_NO_START_DATE = date(2000, 1, 1)
BRAND = "acme"


def set_given_rate(session: Session, rate: Mapping[str, str], now: datetime) -> None:
    """Store an exchange rate, unless there is one already."""
    query = select(ExchangeRate.id).where(ExchangeRate.source == rate["source"], ExchangeRate.target == rate["target"])
    if session.scalar(query.limit(1)) is None:
        set_rate(session, source=rate["source"], target=rate["target"], rate=money.parse_rate(rate["rate"]), now=now)


def add_customers(session: Session, customers: Iterable[Mapping[str, Any]], now: datetime) -> set[tuple[str, str]]:
    """Add the customers that are missing. Return brand and uid of each one added."""
    by_brand: dict[str, dict[str, Mapping[str, Any]]] = {}
    for customer in customers:
        by_brand.setdefault(customer.get("brand", BRAND), {}).setdefault(str(customer["uid"]), customer)
    added = set()
    for client, given in sorted(by_brand.items()):
        brand = brand_by_client(session, client)
        existing = set(session.scalars(select(Customer.uid).where(Customer.brand_id == brand.id)))
        new = [_new_customer(client, uid, given[uid], brand.currency) for uid in given if uid not in existing]
        for created in create_customers(session, brand, new, now=now) if new else ():
            _set_login_and_debt(session, created, brand_facts(brand), given[created.uid], now)
            added.add((client, created.uid))
    return added


def _new_customer(client: str, uid: str, customer: Mapping[str, Any], currency: str) -> NewCustomer:
    currency = customer.get("currency", currency)
    balance = customer.get("balance", "0")
    stake_limit = customer.get("stake_limit")
    return NewCustomer(
        uid=uid,
        username=f"r{hashlib.sha256(f'{client}/{uid}'.encode()).hexdigest()[:30]}",
        currency=currency,
        balance=0 if balance.startswith("-") else money.parse_amount(balance, currency),
        credit_limit=money.parse_limit(customer.get("credit_limit", "0"), currency),
        max_stake_per_event=None if stake_limit is None else money.parse_limit(stake_limit, currency),
        roles=(REQUIRED_ROLE, *customer.get("roles", ("bet_placer",))),
        active=customer.get("active", True),
        locked=customer.get("locked", False),
        expires_at=read_instant(customer.get("expires_at")),
        commission_rates=_commission_rates(customer),
    )


def _commission_rates(customer: Mapping[str, Any]) -> Schedule:
    """Return the commission schedule: `commission_rate` has no start date, each of `commission_rates` has its own."""
    rates = [(date.fromisoformat(rate["from"]), rate["percent"]) for rate in customer.get("commission_rates", ())]
    if "commission_rate" in customer:
        rates.append((_NO_START_DATE, customer["commission_rate"]))
    return tuple(sorted((day, parse_percent(percent)) for day, percent in rates))


def _set_login_and_debt(
    session: Session, created: Customer, brand: BrandFacts, customer: Mapping[str, Any], now: datetime
) -> None:
    """Set the last login, and post a negative opening balance as an adjustment.

    No payment may leave a debt, but a correction may; so a case may need one.
    """
    created.last_login_at = created.session_began_at = read_instant(customer.get("logged_in_at"))
    balance = customer.get("balance", "0")
    if balance.startswith("-") and (minor := money.parse_amount(balance.removeprefix("-"), created.currency)):
        lines = rules.adjusted(created.id, brand.client, created.currency, -minor)
        reference = f"replay:{brand.client}:{created.uid}:debt"
        debt = Posting("adjustment", reference, fingerprint(minor), now, brand.booking_day(now), lines, "given")
        ledger.post_one(session, debt, holder_id=created.id, recorded_at=now)


def set_given_limit(session: Session, limit: Mapping[str, Any], now: datetime) -> None:
    uid, type_ = str(limit["uid"]), limit["type"]
    customer, brand = customer_by_uid(session, client=limit.get("brand", BRAND), uid=uid, lock=True)
    current = limits.CurrentLimits(session, limits.player_of(customer, brand_facts(brand)), now=now)
    is_time = type_ == "time_limit"
    amount = int(limit["amount"]) if is_time else money.parse_amount(limit["amount"], customer.currency)
    frame = SESSION if is_time else limit["frame"]
    set_by_operator(
        current, type_=type_, frame=frame, amount=amount, reason="given", changed_by="replay", session=session
    )
