"""Wagers, and the events of coupons. Amounts are minor units; instants are UTC."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Key, UTCDateTime


class Wager(Base):
    """A bet that was placed: taken or refused. It is never placed again.

    Its identity is the provider's: game, client (the brand's name there) and bet id. `stake` and `payout` are in
    `currency`; `cost` is the stake in the customer's own currency, `home_payout` the payout, at `rate`.
    `commission_rate` is the percent of net winnings that was in force when the stake was taken.
    `outcome` is the current settlement, `replaced` the earlier ones.
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
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(10))
    refusal: Mapped[str | None] = mapped_column(String(40))
    fingerprint: Mapped[str | None] = mapped_column(String(32))
    pool_uid: Mapped[str | None] = mapped_column(Key())
    currency: Mapped[str | None] = mapped_column(Key(6))
    stake: Mapped[int | None] = mapped_column(BigInteger)
    cost: Mapped[int | None] = mapped_column(BigInteger)
    home_currency: Mapped[str | None] = mapped_column(Key(6))
    rate: Mapped[str | None] = mapped_column(String(26))
    commission_rate: Mapped[str | None] = mapped_column(String(20))
    possible_payout: Mapped[int | None] = mapped_column(BigInteger)
    ip: Mapped[str | None] = mapped_column(String(64))
    placed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    payout: Mapped[int | None] = mapped_column(BigInteger)
    home_payout: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(String(40))
    replaced: Mapped[str | None] = mapped_column(Text)
    settlements: Mapped[int] = mapped_column(BigInteger, default=0)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class EarlyCancel(Base):
    """A cancel that arrived before its bet: that user's bet with this id is refused when it arrives."""

    __tablename__ = "early_cancel"

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    client: Mapped[str] = mapped_column(Key(), primary_key=True)
    uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    user_uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    cancelled_at: Mapped[datetime] = mapped_column(UTCDateTime)


class CouponEvent(Base):
    """The event of a coupon that the operator mapped; any other coupon is its own event."""

    __tablename__ = "coupon_event"
    __table_args__ = (Index(None, "game", "event"),)

    game: Mapped[str] = mapped_column(Key(), primary_key=True)
    pool_uid: Mapped[str] = mapped_column(Key(), primary_key=True)
    event: Mapped[str] = mapped_column(Key())
