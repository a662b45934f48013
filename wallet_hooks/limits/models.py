"""Tables of player limits, limit quotes, reality checks and limit usage. Amounts are minor units, instants UTC."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime

_LIVE = text("status IN ('ACTIVE', 'PENDING')")


class PlayerLimit(Base):
    """A limit of one type in one frame, from its request to its end.

    `amount` is in minor units of the customer's currency, for a time limit in minutes; None removes the limit.
    `frame` is day, week, month or session; rows ended by older releases may have no_limit, meaning all frames.
    Anniversary windows count from `anchored_at`, which a limit inherits from the limit of its frame that it replaces.
    `set_by` is player or operator. `changed_by` names the operator, or holds the label that the player sent.
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
    """The stored answer of `calculate`, under the client's request reference (`uuid`).

    `requested` holds the requested changes, `fingerprint` a hash of the limits and policy that the answer is based on.
    """

    __tablename__ = "limit_quote"

    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)
    uuid: Mapped[str] = mapped_column(Key(), primary_key=True)
    requested: Mapped[dict[str, Any]] = mapped_column("asked", JSON)
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    changed_by: Mapped[str] = mapped_column(String(100))
    fingerprint: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RealityCheck(Base):
    """How often a front end reminds the player of the play session's duration and net result."""

    __tablename__ = "reality_check"

    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"), primary_key=True)
    period: Mapped[str] = mapped_column(String(10))
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class LimitUsage(Base):
    """A customer's usage on one local day of its brand, in minor units of its currency.

    `staked`, `voided` and `returned` count on the day of the stake, `paid` (returns and voids) on the day of the
    payment, `deposited` on the day on which the deposit began. A reserved deposit that has expired is in `deposited`
    until it fails, and is deducted whenever usage is read for deposit limits (`service.usage_of_players`).
    """

    __tablename__ = "limit_usage"

    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    staked: Mapped[int] = mapped_column(BigInteger)
    voided: Mapped[int] = mapped_column(BigInteger)
    returned: Mapped[int] = mapped_column(BigInteger)
    paid: Mapped[int] = mapped_column(BigInteger)
    deposited: Mapped[int] = mapped_column(BigInteger)
