"""Brands and the providers that may call for them."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wallet_hooks.database import Base, Identity64, Key


class Brand(Base):
    """A brand of the operator. Providers know it as `client` (seeds/004), the limits gateway by `id` (seeds/003)."""

    __tablename__ = "brand"
    __table_args__ = (UniqueConstraint("client"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    client: Mapped[str] = mapped_column(Key())
    currency: Mapped[str] = mapped_column(Key(6))
    timezone: Mapped[str] = mapped_column(String(64))
    day_start: Mapped[str] = mapped_column(String(5), default="00:00")
    policy: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class Provider(Base):
    """A provider's game for one brand, with how its calls are proven and where they may come from.

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
