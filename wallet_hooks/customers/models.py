"""Customers: people and their logins. `Account` alone means an account of the ledger."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime, WideAmount

ROLES = ("customer", "bet_placer", "group_spy", "trade_page_viewer", "detailed_accounting", "account_viewer")


class Customer(Base):
    """A customer of one brand. Limits are minor units of the customer's currency.

    The row is also the lock: whoever moves the customer's money or changes what it may spend holds it.
    """

    __tablename__ = "customer"
    __table_args__ = (
        UniqueConstraint("brand_id", "uid"),
        UniqueConstraint("username"),
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
    roles: Mapped[str] = mapped_column(String(200), default="customer")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
