"""The table of payments, which the cashier writes and deposit limits read."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime

# How long a reserved deposit waits for the payment provider, from `created_at` on.
RESERVE_TTL = timedelta(hours=24)


class Payment(Base):
    """A deposit, withdrawal or adjustment, in minor units of the customer's currency.

    Status `reserved`: waits for the payment provider, nothing is posted yet; `done`: posted to the ledger; `failed`:
    will never be posted. A deposit that was reserved for RESERVE_TTL has expired, and its status stays. `key` is the
    request's Idempotency-Key, `fingerprint` a hash of the request.
    """

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("brand_id", "kind", "reference"),
        UniqueConstraint("brand_id", "key"),
        Index(None, "customer_id"),
        CheckConstraint("status IN ('reserved', 'done', 'failed')", name="status"),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    brand_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("brand.id"))
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customer.id"))
    kind: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(10))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(6))
    method: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(Key(100))
    key: Mapped[str | None] = mapped_column(Key(100))
    fingerprint: Mapped[str] = mapped_column(String(32))
    in_two_steps: Mapped[bool] = mapped_column()
    reason: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def is_expired(self, *, now: datetime) -> bool:
        """Return whether this is a reserved deposit that was neither confirmed nor failed in time."""
        return self.status == "reserved" and now - self.created_at >= RESERVE_TTL


def payment_reference(client: str, kind: str, reference: str) -> str:
    """Return the ledger's reference of a payment; `client` is the brand's client name."""
    return f"cashier:{client}:{kind}:{reference}"
