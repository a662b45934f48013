"""Betslips, the state that their messages leave, and the messages themselves.

Bodies are JSON texts as they were sent; a `ts` is the frame's instant, as its JSON number.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime

# The smallest stake and the sum of the largest ones by currency, in minor units.
StakeBounds = Mapping[str, tuple[int, int]]


class Betslip(Base):
    """A betslip of one brand and game. The row is also the lock under which its messages are stored.

    `customer_id` is the first customer of the brand that a betslip message names, and stays. Its stream gets the
    messages once, though they may be stored for several games: of the game whose row `is_streamed`. `bounds` are the
    smallest and largest stake that its newest prices accept (`bounds.py`); `announcement` is the newest betslip
    message, `closing` the message that closed it.
    """

    __tablename__ = "betslip"
    __table_args__ = (
        UniqueConstraint("brand_id", "game", "betslip_id"),
        Index(None, "customer_id", "id"),
        Index(
            "uq_betslip_streamed",
            "brand_id",
            "betslip_id",
            unique=True,
            postgresql_where=text("is_streamed"),
            sqlite_where=text("is_streamed"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    game: Mapped[str] = mapped_column(Key())
    betslip_id: Mapped[str] = mapped_column(Key())
    customer_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("customer.id"))
    is_streamed: Mapped[bool] = mapped_column(Boolean, default=False)
    is_open: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    bounds: Mapped[StakeBounds | None] = mapped_column(JSON(none_as_null=True))
    announced_ts: Mapped[str | None] = mapped_column(String(40))
    announcement: Mapped[str | None] = mapped_column(Text)
    closed_ts: Mapped[str | None] = mapped_column(String(40))
    closing: Mapped[str | None] = mapped_column(Text)
    late_prices: Mapped[int] = mapped_column(Integer, default=0)


class BetslipPrice(Base):
    """The newest pmm of a bookmaker account on a betslip. `bounds` are what it takes, empty unless successful."""

    __tablename__ = "betslip_price"
    __table_args__ = ({"postgresql_with": {"fillfactor": "70"}},)

    betslip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("betslip.id"), primary_key=True)
    bookie: Mapped[str] = mapped_column(Key(), primary_key=True)
    username: Mapped[str] = mapped_column(Key(100), primary_key=True)
    ts: Mapped[str | None] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    bounds: Mapped[StakeBounds] = mapped_column(JSON)


class BetslipMessage(Base):
    """A message, in the order of arrival. `delivery_id` is the request that brought it.

    `seq` numbers the messages of a customer's stream from 1 on without gaps, in the order in which they are committed.
    Both columns are None while no customer is known, and for a betslip that is not streamed.
    """

    __tablename__ = "betslip_message"
    __table_args__ = (Index(None, "betslip_id", "id"), UniqueConstraint("customer_id", "seq"))

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    betslip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("betslip.id"))
    type: Mapped[str] = mapped_column(String(20))
    ts: Mapped[str | None] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    delivery_id: Mapped[str] = mapped_column(String(32))
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    seq: Mapped[int | None] = mapped_column(BigInteger)


class CustomerSequence(Base):
    """The `seq` of a customer's newest betslip message. The row is the lock under which the next ones are numbered."""

    __tablename__ = "betslip_sequence"

    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
