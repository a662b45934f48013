"""Tables of brands, providers, login sessions and API tokens."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Date, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wallet_hooks.database import Base, Identity64, Key, Shared, UTCDateTime


class Brand(Shared, Base):
    """A brand of the operator.

    `client` is its name in callbacks (docs/protocols/callbacks.md), `id` its number in the limits gateway
    (docs/protocols/limits.md).
    """

    __tablename__ = "brand"
    __table_args__ = (UniqueConstraint("client"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    client: Mapped[str] = mapped_column(Key())
    currency: Mapped[str] = mapped_column(Key(6))
    timezone: Mapped[str] = mapped_column(String(64))
    day_start: Mapped[str] = mapped_column(String(5), default="00:00")
    policy: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    allowed_countries: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    denied_countries: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")


class Provider(Shared, Base):
    """A provider's game for one brand: authentication method, secrets, and allowed source networks.

    `secrets` are references (`env:NAME`, `file:PATH`), never the secrets themselves.
    """

    __tablename__ = "provider"
    __table_args__ = (UniqueConstraint("game", "brand_id"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    game: Mapped[str] = mapped_column(Key())
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    auth: Mapped[str] = mapped_column(String(20))
    secrets: Mapped[list[str]] = mapped_column(JSON, default=list)
    allow: Mapped[list[str]] = mapped_column(JSON, default=list)

    brand: Mapped[Brand] = relationship()


class LoginSession(Shared, Base):
    """A customer's login. Only the hash of its token is stored.

    Ended logins are retained for a while, because a login soon afterwards continues the same play session.
    """

    __tablename__ = "login_session"
    __table_args__ = (Index(None, "customer_id"),)

    token_hash: Mapped[str] = mapped_column(Key(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime] = mapped_column(UTCDateTime)
    source: Mapped[str] = mapped_column(String(45))
    ended: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))


class Username(Shared, Base):
    """A customer's username with its brand, where each brand has a schema; `folded` is the name regardless of case.

    It is looked up before the brand is known. The ids of customers are unique over all brands.
    """

    __tablename__ = "username"
    __table_args__ = (UniqueConstraint("folded"),)

    customer_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    brand_id: Mapped[int] = mapped_column(ForeignKey("brand.id"))
    folded: Mapped[str] = mapped_column(Key())


class UnknownLogin(Shared, Base):
    """Failed logins with unknown usernames, counted per day (UTC)."""

    __tablename__ = "unknown_login"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    failures: Mapped[int] = mapped_column(BigInteger)


class ApiToken(Shared, Base):
    """An API token of a machine caller: one role, for one brand or (`brand_id` None) for all."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_hash"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    token_hash: Mapped[str] = mapped_column(Key())
    role: Mapped[str] = mapped_column(String(20))
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
