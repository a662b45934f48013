"""Customers, their groups, the history of their credit limits, and their payments."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.customers.commission import Schedule, pairs_of, schedule_of
from wallet_hooks.database import Base, Identity64, Key, UTCDateTime, WideAmount

REQUIRED_ROLE = "customer"  # which every customer has
ROLES = (REQUIRED_ROLE, "bet_placer", "group_spy", "trade_page_viewer", "detailed_accounting", "account_viewer")
# How long a reserved deposit waits for the payment provider, from `created_at` on.
RESERVE_TTL = timedelta(hours=24)


class _ScheduleJSON(TypeDecorator[Schedule]):
    """A commission schedule, as JSON in the database."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Schedule | None, dialect: Dialect) -> list[list[str]] | None:
        return None if value is None else pairs_of(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Schedule | None:
        return None if value is None else schedule_of(value)


class Customer(Base):
    """A customer of one brand. Limits are minor units of the customer's currency.

    `commission_rates` is a schedule (see `commission.py`); `limited` is whether a limit may exist for the customer.
    `session_began_at` and `session_bet_at` are of the play session (`play_sessions.py`).
    `locked` is set by a manager and stops sessions and bets. Wrong passwords lock only the login (`login_lock.py`):
    `failed_logins` since the last success or lock, `login_locks` in a row, the last until `login_locked_until`.

    The row is also the lock under which the customer's money is moved and its limits are changed.
    """

    __tablename__ = "customer"
    __table_args__ = (
        UniqueConstraint("brand_id", "uid"),
        UniqueConstraint("username"),
        Index("uq_customer_lower_username", text("lower(username)"), unique=True),
        Index(None, "group_id", "id"),
        {"postgresql_with": {"fillfactor": "60"}},
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    uid: Mapped[str] = mapped_column(Key())
    username: Mapped[str] = mapped_column(Key())
    name: Mapped[str] = mapped_column(String(200), default="")
    password_hash: Mapped[str | None] = mapped_column(String(255))
    currency: Mapped[str] = mapped_column(Key(6))
    credit_limit: Mapped[int] = mapped_column(WideAmount, default=0)
    max_stake_per_event: Mapped[int | None] = mapped_column(WideAmount)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    locked: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    roles: Mapped[list[str]] = mapped_column(JSON, default=lambda: [REQUIRED_ROLE], server_default='["customer"]')
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    group_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("customer_group.id"))
    commission_rates: Mapped[Schedule] = mapped_column(_ScheduleJSON, default=(), server_default="[]")
    failed_logins: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    login_locks: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    login_locked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    limited: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    last_login_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    session_began_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    session_bet_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class CustomerProfile(Base):
    """What the account API shows of a customer beside its money; None is not known.

    `discount_rate` is a percentage as a plain decimal; `referred_by_id` is the customer who referred this one.
    """

    __tablename__ = "customer_profile"

    customer_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("customer.id"), primary_key=True, autoincrement=False
    )
    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    locale: Mapped[str | None] = mapped_column(String(20))
    region: Mapped[str | None] = mapped_column(String(100))
    timezone: Mapped[str | None] = mapped_column(String(64))
    country: Mapped[str | None] = mapped_column(String(2))
    discount_rate: Mapped[str] = mapped_column(String(20), default="0", server_default="0")
    points_balance: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    referred_by_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("customer.id"))


class Group(Base):
    """Customers of one brand with the same managers."""

    __tablename__ = "customer_group"
    __table_args__ = (UniqueConstraint("brand_id", "name"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    name: Mapped[str] = mapped_column(Key())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)


class GroupManager(Base):
    """A manager of a group: a customer that may see and change the group's customers."""

    __tablename__ = "group_manager"
    __table_args__ = (Index(None, "customer_id"),)

    group_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer_group.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)


class CreditLimitChange(Base):
    """A credit limit that was set: minor units of `currency`, and who set it."""

    __tablename__ = "credit_limit_change"
    __table_args__ = (Index(None, "customer_id"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    amount: Mapped[int] = mapped_column(WideAmount)
    currency: Mapped[str] = mapped_column(Key(6))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    comment: Mapped[str] = mapped_column(Text, default="")
    changed_by: Mapped[str] = mapped_column(String(100))


class Payment(Base):
    """A deposit, withdrawal or adjustment, in minor units of the customer's currency.

    Status `reserved`: waits for the payment provider, nothing is posted yet; `done`: posted to the ledger; `failed`:
    will never be posted. A deposit that was reserved for RESERVE_TTL has expired, and its status stays. `key` is the
    first request's Idempotency-Key (see PaymentKey for those of repetitions), `fingerprint` a hash of the request.
    """

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("brand_id", "kind", "reference"),
        UniqueConstraint("brand_id", "key"),
        Index(None, "customer_id"),
        CheckConstraint("status IN ('reserved', 'done', 'failed')", name="status"),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    kind: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(10))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(6))
    method: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(Key(100))
    key: Mapped[str | None] = mapped_column(Key(100))
    fingerprint: Mapped[str] = mapped_column(String(32))
    in_two_steps: Mapped[bool] = mapped_column()
    reason: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def is_expired(self, *, now: datetime) -> bool:
        """Return whether this is a reserved deposit that was neither confirmed nor failed in time."""
        return self.status == "reserved" and now - self.created_at >= RESERVE_TTL

    @classmethod
    def expired(cls, *, now: datetime) -> ColumnElement[bool]:
        """Return the SQL condition of `is_expired`."""
        return and_(cls.status == "reserved", cls.created_at <= now - RESERVE_TTL)


def payment_reference(client: Any, kind: Any, reference: Any) -> Any:
    """Return the ledger's reference of a payment, or its SQL expression; `client` is the brand's client name."""
    return "cashier:" + client + ":" + kind + ":" + reference


class PaymentKey(Base):
    """An Idempotency-Key that a payment was asked for with, by its first request or a repetition."""

    __tablename__ = "payment_key"

    brand_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Key(100), primary_key=True)
    payment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("payment.id"))


class NamedPayment(NamedTuple):
    """What the ledger's reference of a payment says: the brand's client name, the kind, and the payment's reference."""

    client: str
    kind: str
    reference: str

    @classmethod
    def of_reference(cls, reference: str) -> Self | None:
        """Return the payment of a transaction's reference; None if it is not about one."""
        origin, *parts = reference.split(":", 3)
        return cls(*parts) if origin == "cashier" and len(parts) == 3 else None
