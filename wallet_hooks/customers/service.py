"""Creating customers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.models import ROLES, Customer
from wallet_hooks.errors import ConflictError, RefusedError
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand
from wallet_hooks.ledger import chart, rules
from wallet_hooks.ledger import service as ledger
from wallet_hooks.ledger.journal import Posting, fingerprint


@dataclass(frozen=True, kw_only=True)
class NewCustomer:
    """A customer to be. Amounts in minor units of `currency`; `balance` is what it brings along."""

    uid: str
    username: str
    currency: str
    credit_limit: int = 0
    max_stake_per_event: int | None = None
    roles: tuple[str, ...] = ("customer", "bet_placer")
    name: str = ""
    active: bool = True
    locked: bool = False
    expires_at: datetime | None = None
    password_hash: str | None = None
    balance: int = 0


def create_customers(session: Session, brand: Brand, new: Sequence[NewCustomer], *, now: datetime) -> list[Customer]:
    """Create customers with their accounts, and post their opening balances, in a fixed number of statements.

    Raises ConflictError naming the first uid or username that is taken, RefusedError for a value that cannot be.
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
            roles=",".join(sorted({"customer", *customer.roles})),
            created_at=now,
        )
        for customer in new
    ]
    session.add_all(customers)
    session.flush()
    _open_with_balances(session, brand, list(zip(customers, new, strict=True)), now=now)
    return customers


def _open_with_balances(
    session: Session, brand: Brand, pairs: Sequence[tuple[Customer, NewCustomer]], *, now: datetime
) -> None:
    journal = ledger.prepare(session, count=len(pairs), recorded_at=now)
    held = [
        (account(customer.id, customer.currency), customer.id)
        for customer, _ in pairs
        for account in (chart.player, chart.open_stakes)
    ]
    house = [(chart.payment_provider("opening", new.currency), None) for _, new in pairs if new.balance]
    ledger.open_accounts(session, journal, [*held, *house])
    booked_on = brand_facts(brand).booking_day(now)
    for customer, new in pairs:
        if new.balance:
            lines = rules.deposited(customer.id, "opening", new.currency, new.balance)
            reference = f"customer:{brand.client}:{customer.uid}:opening"
            facts = fingerprint(new.currency, new.balance)
            journal.post(Posting("deposit", reference, facts, now, booked_on, lines, "opening balance"))
    ledger.write(session, journal)


def _check(new: NewCustomer) -> None:
    money.decimals(new.currency)
    if not 0 < len(new.uid) <= 64 or not new.uid.isprintable():
        raise RefusedError("bad_uid", "a uid has 1 to 64 printable characters")
    if not 0 < len(new.username) <= 64 or not new.username.isalnum() or not new.username.isascii():
        raise RefusedError("bad_username", f"username {new.username!r}: up to 64 letters and digits are expected")
    unknown = set(new.roles) - set(ROLES)
    if unknown:
        raise RefusedError("unknown_role", f"unknown role {min(unknown)!r}")


def _check_free(session: Session, brand: Brand, new: Sequence[NewCustomer]) -> None:
    uids = [customer.uid for customer in new]
    names = [customer.username for customer in new]
    taken = session.scalars(select(Customer.uid).where(Customer.brand_id == brand.id, Customer.uid.in_(uids))).all()
    if taken or len(set(uids)) < len(uids):
        raise ConflictError(f"uid {(taken or _repeated(uids))[0]!r} of brand {brand.client!r} is taken")
    taken = session.scalars(select(Customer.username).where(Customer.username.in_(names))).all()
    if taken or len(set(names)) < len(names):
        raise ConflictError(f"username {(taken or _repeated(names))[0]!r} is taken")


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for index, value in enumerate(values) if value in values[:index]]
