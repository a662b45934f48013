"""Limits of players, quotes for changing them, and what counts against them. Amounts are minor units, instants UTC."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime

_LIVE = text("status IN ('ACTIVE', 'PENDING')")


class PlayerLimit(Base):
    """A limit of one type in one frame, from when it was asked for to its end.

    `amount` is in minor units of the customer's currency, for a time limit in minutes; None takes the limit away.
    `frame` is day, week, month or session; rows that older releases ended may have no_limit, for all of them.
    Anniversary windows count from `anchored_at`, which a limit inherits from the one of its frame that it replaces.
    What an operator sets has `set_by` operator, and who it was in `changed_by`; a player's own has there the label that
    the player sent.
    """

    __tablename__ = "player_limit"
    __table_args__ = (
        Index(
            "uq_player_limit_live",
            "customer_id",
            "type",
            "frame",
            "set_by",
            "status",
            unique=True,
            postgresql_where=_LIVE,
            sqlite_where=_LIVE,
        ),
        Index(None, "customer_id"),
        CheckConstraint("type IN ('bet', 'loss', 'deposit', 'time_limit')", name="type"),
        CheckConstraint("set_by IN ('player', 'operator')", name="set_by"),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    type: Mapped[str] = mapped_column(String(10))
    frame: Mapped[str] = mapped_column(String(10))
    amount: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(10))
    set_by: Mapped[str] = mapped_column(String(10))
    changed_by: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    anchored_at: Mapped[datetime] = mapped_column(UTCDateTime)
    effective_at: Mapped[datetime] = mapped_column(UTCDateTime)
    needs_confirmation: Mapped[bool] = mapped_column(Boolean)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    swapped_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    end_reason: Mapped[str | None] = mapped_column(Text)


class LimitQuote(Base):
    """What a change would come to, as it was told to a player under a reference of the player's own (`uuid`).

    `fingerprint` is of the limits and rules that it was calculated from.
    """

    __tablename__ = "limit_quote"

    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)
    uuid: Mapped[str] = mapped_column(Key(), primary_key=True)
    asked: Mapped[dict[str, Any]] = mapped_column(JSON)
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_by: Mapped[str] = mapped_column(String(100))
    fingerprint: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RealityCheck(Base):
    """How often a player wants to be told how long and with what result it has been playing."""

    __tablename__ = "reality_check"

    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)
    period: Mapped[str] = mapped_column(String(10))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LimitUsage(Base):
    """What a customer did on one local day of its brand, in minor units of its currency.

    `staked`, `voided` and `returned` are by the day on which the stake was placed, `paid` (returns and voids) by the
    day on which the money came back, `deposited` by the day on which the deposit began.
    """

    __tablename__ = "limit_usage"

    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    staked: Mapped[int] = mapped_column(BigInteger)
    voided: Mapped[int] = mapped_column(BigInteger)
    returned: Mapped[int] = mapped_column(BigInteger)
    paid: Mapped[int] = mapped_column(BigInteger)
    deposited: Mapped[int] = mapped_column(BigInteger)
