"""Tables of exceptions and of comments on them. Instants are UTC."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime


class CallbackException(Base):
    """An exception about a bet or a payment, which staff must look at.

    About a bet: `game`, `bet_uid` and the delivery that raised it, unique for each `kind` and `subject`. About a
    payment: `payment_id`, and the payment's reference as `subject`. `client` is the brand in both. `resolved_by` is the
    member of staff who resolved it in the console.
    """

    __tablename__ = "callback_exception"
    __table_args__ = (
        UniqueConstraint("game", "client", "bet_uid", "kind", "subject"),
        Index("uq_callback_exception_payment_id_kind", "payment_id", "kind", unique=True),
        CheckConstraint("(bet_uid IS NULL) <> (payment_id IS NULL)", name="about"),
        Index(
            "ix_callback_exception_open",
            "id",
            postgresql_where=text("resolved_at IS NULL"),
            sqlite_where=text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    game: Mapped[str | None] = mapped_column(Key())
    client: Mapped[str] = mapped_column(Key())
    bet_uid: Mapped[str | None] = mapped_column(Key())
    payment_id: Mapped[int | None] = mapped_column(BigInteger)
    subject: Mapped[str] = mapped_column(Key(100))
    delivery_id: Mapped[UUID | None] = mapped_column()
    raised_at: Mapped[datetime] = mapped_column(UTCDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reason: Mapped[str | None] = mapped_column(Text)
    resolved_by: Mapped[str | None] = mapped_column(Key())


class ExceptionComment(Base):
    """What a member of staff wrote about an exception."""

    __tablename__ = "exception_comment"
    __table_args__ = (Index(None, "exception_id", "id"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    exception_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("callback_exception.id"))
    written_at: Mapped[datetime] = mapped_column(UTCDateTime)
    written_by: Mapped[str] = mapped_column(Key())
    text: Mapped[str] = mapped_column(Text)
