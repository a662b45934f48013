"""Every callback as it came, with the answer that it got."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Key, UTCDateTime


class Delivery(Base):
    """A callback. Its id is the request's id, made here and ordered by time.

    `body` is exactly what came; credentials are never kept. `duration_us` ends with the decision.
    """

    __tablename__ = "delivery"
    __table_args__ = (Index(None, "received_at", postgresql_using="brin"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    source: Mapped[str] = mapped_column(String(45))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    answer: Mapped[str] = mapped_column(Text)
    duration_us: Mapped[int] = mapped_column(Integer)


class DeliveryBet(Base):
    """Which bets a delivery spoke of; `bet` is the bet's key, `game:client:uid`."""

    __tablename__ = "delivery_bet"
    __table_args__ = (Index(None, "delivery_id", postgresql_using="brin"),)

    bet: Mapped[str] = mapped_column(Key(194), primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
