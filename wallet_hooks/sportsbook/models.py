"""Wagers, and the events of coupons. Amounts are minor units; instants are UTC."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column

from wallet_hooks.database import Base, Key, UTCDateTime

# Marks the columns that a settlement or a cancel changes. The others never change.
CHANGEABLE = "changeable"
_CHANGEABLE = {CHANGEABLE: True}


class Wager(MappedAsDataclass, Base):
    """A bet that was placed: taken or refused. It is never placed again.

    Its identity is the provider's: game, client (the brand's name there) and bet id. `stake` and `payout` are in
    `currency`; `cost` is the stake in the customer's own currency, `home_payout` the payout, at `rate`.
    `commission_rate` is the percent of net winnings that was in force when the stake was taken.
    `outcome` is the current settlement, `replaced` the earlier ones.

    A new column needs this line and a migration: what reads, makes and writes wagers takes its columns from here.
    """

    __tablename__ = "wager"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'settled', 'cancelled', 'refused')", name="status"),
        # For a customer's stakes on an event. `cost` is set where a stake was taken, and never changes.
        Index(
            "ix_wager_taken_on_event",
            "customer_id",
            "pool_uid",
            "game",
            postgresql_where=text("cost IS NOT NULL"),
            sqlite_where=text("cost IS NOT NULL"),
        ),
        Index(
            "ix_wager_refused",
            "customer_id",
            "placed_at",
            postgresql_where=text("refusal IS NOT NULL"),
            sqlite_where=text("refusal IS NOT NULL"),
        ),
        Index(None, "placed_at", postgresql_using="brin"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    client: Mapped[str] = mapped_column(Key(), primary_key=True)
    uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    user_uid: Mapped[str] = mapped_column(Key())
    status: Mapped[str] = mapped_column(String(10), info=_CHANGEABLE)
    placed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    customer_id: Mapped[int | None] = mapped_column(BigInteger, default=None)
    refusal: Mapped[str | None] = mapped_column(String(40), default=None)
    fingerprint: Mapped[str | None] = mapped_column(String(32), default=None)
    pool_uid: Mapped[str | None] = mapped_column(Key(), default=None)
    currency: Mapped[str | None] = mapped_column(Key(6), default=None)
    stake: Mapped[int | None] = mapped_column(BigInteger, default=None)
    cost: Mapped[int | None] = mapped_column(BigInteger, default=None)
    home_currency: Mapped[str | None] = mapped_column(Key(6), default=None)
    rate: Mapped[str | None] = mapped_column(String(26), default=None)
    commission_rate: Mapped[str | None] = mapped_column(String(20), default=None)
    possible_payout: Mapped[int | None] = mapped_column(BigInteger, default=None)
    ip: Mapped[str | None] = mapped_column(String(64), default=None)
    payout: Mapped[int | None] = mapped_column(BigInteger, info=_CHANGEABLE, default=None)
    home_payout: Mapped[int | None] = mapped_column(BigInteger, info=_CHANGEABLE, default=None)
    result: Mapped[str | None] = mapped_column(Text, info=_CHANGEABLE, default=None)
    outcome: Mapped[str | None] = mapped_column(String(40), info=_CHANGEABLE, default=None)
    replaced: Mapped[str | None] = mapped_column(Text, info=_CHANGEABLE, default=None)
    settlements: Mapped[int] = mapped_column(BigInteger, info=_CHANGEABLE, default=0)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime, info=_CHANGEABLE, default=None)


class EarlyCancel(Base):
    """A cancel that arrived before its bet: that user's bet with this id is refused when it arrives."""

    __tablename__ = "early_cancel"

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    client: Mapped[str] = mapped_column(Key(), primary_key=True)
    uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    user_uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    cancelled_at: Mapped[datetime] = mapped_column(UTCDateTime)


class EarlySettlement(Base):
    """A settlement that was refused because its bet had not arrived. `payout` is in minor units of its currency.

    Its copies may arrive after the bet, and after a settlement that replaced it. `number` orders those that one
    group refused, at one instant.
    """

    __tablename__ = "early_settlement"

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    client: Mapped[str] = mapped_column(Key(), primary_key=True)
    uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    user_uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    currency: Mapped[str] = mapped_column(Key(6), primary_key=True)
    payout: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    is_void: Mapped[bool] = mapped_column(Boolean, primary_key=True)
    refused_at: Mapped[datetime] = mapped_column(UTCDateTime)
    number: Mapped[int]


class CouponEvent(Base):
    """The event of a coupon that the operator mapped; any other coupon is its own event."""

    __tablename__ = "coupon_event"
    __table_args__ = (Index(None, "game", "event"),)

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    pool_uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    event: Mapped[str] = mapped_column(Key())
