"""Bookmakers, bookmaker accounts, and the rules that choose accounts for a customer."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wallet_hooks.database import Base, Identity64, Key, Shared, UTCDateTime


class Bookie(Shared, Base):
    """A bookmaker and how to reach its API. `secret` is a reference (`env:NAME`, `file:PATH`), or None."""

    __tablename__ = "bookie"

    code: Mapped[str] = mapped_column(Key(), primary_key=True)
    adapter: Mapped[str] = mapped_column(String(20))
    url: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str | None] = mapped_column(String(500))


class BookieAccount(Base):
    """A group's login at a bookmaker.

    `stake_share` is the percentage of a stake that it may take, as a decimal. `balance` is the last known one, in minor
    units of `currency`, at `balance_at` (UTC).
    """

    __tablename__ = "bookie_account"
    __table_args__ = (UniqueConstraint("bookie", "username"), Index(None, "group_id"))

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    group_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer_group.id"))
    bookie: Mapped[str] = mapped_column(Key(), ForeignKey("bookie.code"))
    username: Mapped[str] = mapped_column(Key(100))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    agent: Mapped[str] = mapped_column(String(100), default="")
    stake_share: Mapped[str] = mapped_column(String(20), default="100")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    currency: Mapped[str] = mapped_column(Key(6))
    balance: Mapped[int | None] = mapped_column(BigInteger)
    balance_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    bookmaker: Mapped[Bookie] = relationship()


class TagRules(Base):
    """The rules that choose a customer's accounts. Without a row, all enabled accounts of its group are chosen."""

    __tablename__ = "tag_rules"

    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)
    rules: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
