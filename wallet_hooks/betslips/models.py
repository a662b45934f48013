"""Betslips and their messages."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime


class Betslip(Base):
    """A betslip of one brand and game. The row is also the lock under which its messages are stored.

    `customer_id` is the first customer of the brand that a betslip message names, and stays. What else the messages
    say is computed from them (`state.py`); `bounds` are what they allow a bet to stake (`bounds.py`).
    """

    __tablename__ = "betslip"
    __table_args__ = (UniqueConstraint("brand_id", "game", "betslip_id"), Index(None, "customer_id", "id"))

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    game: Mapped[str] = mapped_column(Key())
    betslip_id: Mapped[str] = mapped_column(Key())
    customer_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("customer.id"))
    is_open: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    bounds: Mapped[dict[str, tuple[int, int]] | None] = mapped_column(JSON(none_as_null=True))


class BetslipMessage(Base):
    """A message as it was sent, in the order of arrival.

    `ts` is the frame's instant and `body` the object, both as JSON texts; `delivery_id` is the request that brought it.
    """

    __tablename__ = "betslip_message"
    __table_args__ = (Index(None, "betslip_id", "id"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    betslip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("betslip.id"))
    type: Mapped[str] = mapped_column(String(20))
    ts: Mapped[str | None] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    delivery_id: Mapped[str] = mapped_column(String(32))
