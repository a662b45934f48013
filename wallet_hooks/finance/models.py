"""The table of reconciliation runs."""

from datetime import date, datetime

from sqlalchemy import JSON, BigInteger, Date, String
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database import Base, Identity64, Key, UTCDateTime


class Reconciliation(Base):
    """A run that matched a provider's report with our wagers: the file, its period, and `breaks` as counts by kind."""

    __tablename__ = "reconciliation"

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    provider: Mapped[str] = mapped_column(Key())
    file: Mapped[str] = mapped_column(String(255))
    sha256: Mapped[str] = mapped_column(String(64))
    first: Mapped[date] = mapped_column(Date)
    last: Mapped[date] = mapped_column(Date)
    lines: Mapped[int] = mapped_column(BigInteger)
    breaks: Mapped[dict[str, int]] = mapped_column(JSON)
    run_at: Mapped[datetime] = mapped_column(UTCDateTime)
