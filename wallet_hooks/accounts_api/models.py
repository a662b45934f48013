"""Applications and their keys, subscriptions, and the access that customers give to vendors' web applications."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, Shared, UTCDateTime


class Application(Shared, Base):
    """A developer's application; one with a `secret_hash` is a vendor, whose public id is the application's id.

    `folded_name` is the name regardless of case, which is unique over all developers.
    """

    __tablename__ = "application"
    __table_args__ = (UniqueConstraint("folded_name"), Index(None, "owner_id"))

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    name: Mapped[str] = mapped_column(String(100))
    folded_name: Mapped[str] = mapped_column(Key(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    subscription_required: Mapped[bool] = mapped_column(Boolean, default=False)
    secret_hash: Mapped[str | None] = mapped_column(Key())
    redirect_url: Mapped[str | None] = mapped_column(String(500))


class ApplicationVersion(Shared, Base):
    """A version of an application with its key, which callers send as X-Application."""

    __tablename__ = "application_version"
    __table_args__ = (UniqueConstraint("application_id", "version"), UniqueConstraint("key"))

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    application_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("application.id"))
    version: Mapped[str] = mapped_column(String(10))
    key: Mapped[str] = mapped_column(Key())
    delay_data: Mapped[bool] = mapped_column(Boolean)
    active: Mapped[bool] = mapped_column(Boolean, default=True)


class Subscription(Shared, Base):
    """A subscription to an application: its token is handed out by the owner and activated by one customer.

    `expires_at` is a midnight (UTC), None for an open-ended one. The status follows from the instants.
    """

    __tablename__ = "application_subscription"
    __table_args__ = (
        UniqueConstraint("token"),
        Index(None, "application_id", "customer_id"),
        Index(None, "customer_id"),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    token: Mapped[str] = mapped_column(Key())
    application_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("application.id"))
    customer_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("customer.id"))
    client_reference: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    activated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class VendorClient(Shared, Base):
    """A customer's random id as one application owner knows it, so that owners cannot combine what they know."""

    __tablename__ = "vendor_client"
    __table_args__ = (UniqueConstraint("owner_id", "customer_id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))


class WebAppGrant(Shared, Base):
    """A customer's permission for a vendor's web application; all tokens that follow from one code belong to it."""

    __tablename__ = "web_app_grant"
    __table_args__ = (Index(None, "customer_id", "application_id"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    application_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("application.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AuthorisationCode(Shared, Base):
    """An authorisation code, stored as a hash; `grant_id` is the grant that its use gave."""

    __tablename__ = "authorisation_code"
    __table_args__ = (Index(None, "customer_id"),)

    code_hash: Mapped[str] = mapped_column(Key(), primary_key=True)
    application_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("application.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    grant_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("web_app_grant.id"))


class WebAppToken(Shared, Base):
    """An access or refresh token of a grant, stored as a hash. A refresh token does not expire; it is used once."""

    __tablename__ = "web_app_token"
    __table_args__ = (Index(None, "grant_id"), CheckConstraint("kind IN ('access', 'refresh')", name="kind"))

    token_hash: Mapped[str] = mapped_column(Key(), primary_key=True)
    grant_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("web_app_grant.id"))
    kind: Mapped[str] = mapped_column(String(7))
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
