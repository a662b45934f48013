"""Tables of staff, their sessions and their actions. Instants are UTC."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, Shared, UTCDateTime


class Staff(Shared, Base):
    """A member of staff with one role. `totp_secret` is set where a one-time code is required besides the password.

    `totp_step` is the last accepted step of the one-time code, which is not accepted again. For the columns about
    failed logins see `customers/login_lock.py`.
    """

    __tablename__ = "staff"
    __table_args__ = (UniqueConstraint("username"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    username: Mapped[str] = mapped_column(Key())
    role: Mapped[str] = mapped_column(String(20))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    totp_secret: Mapped[str | None] = mapped_column(String(64))
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    failed_logins: Mapped[int] = mapped_column(Integer, default=0)
    login_locks: Mapped[int] = mapped_column(Integer, default=0)
    login_locked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class StaffSession(Shared, Base):
    """A login to the console. Only the hash of its token is stored."""

    __tablename__ = "staff_session"
    __table_args__ = (Index(None, "staff_id"),)

    token_hash: Mapped[str] = mapped_column(Key(), primary_key=True)
    staff_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("staff.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime] = mapped_column(UTCDateTime)


class StaffAction(Shared, Base):
    """Something that a member of staff did, for the audit trail. Rows are never changed or deleted.

    `subject` is what it was done to, such as a wager's key; `details` are the facts that were given.
    """

    __tablename__ = "staff_action"

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    username: Mapped[str] = mapped_column(Key())
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    source: Mapped[str] = mapped_column(String(45))
    request_id: Mapped[str] = mapped_column(String(32))


class ResettleRequest(Base):
    """A resettlement that waits for a second member of staff, or was decided by one.

    It replaces the wager's settlement number `settlement`. `payout_before` and `payout` are decimal strings in the
    wager's currency. `decision` is approved or rejected; a wager has at most one request without.
    """

    __tablename__ = "resettle_request"
    __table_args__ = (
        Index(None, "game", "client", "uid"),
        Index(
            "uq_resettle_request_open",
            "game",
            "client",
            "uid",
            unique=True,
            postgresql_where=text("decision IS NULL"),
            sqlite_where=text("decision IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    game: Mapped[str] = mapped_column(Key())
    client: Mapped[str] = mapped_column(Key())
    uid: Mapped[str] = mapped_column(Key())
    settlement: Mapped[int] = mapped_column(BigInteger)
    payout_before: Mapped[str] = mapped_column(String(40))
    payout: Mapped[str] = mapped_column(String(40))
    result: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[str] = mapped_column(Key())
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decision: Mapped[str | None] = mapped_column(String(10))
    decided_by: Mapped[str | None] = mapped_column(Key())
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
