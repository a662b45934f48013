"""Tables of reconciliation runs with their breaks, and of runs of `verify`."""

from datetime import date, datetime

from sqlalchemy import JSON, BigInteger, Date, ForeignKey, Integer, String, Text
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


class ReconciliationBreak(Base):
    """A break of a run, in the order of brand and bet; see `reconciliation.Break`. Only the first of a run are kept."""

    __tablename__ = "reconciliation_break"

    reconciliation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("reconciliation.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    brand: Mapped[str] = mapped_column(Text)
    bet: Mapped[str] = mapped_column(Text)
    line: Mapped[int | None] = mapped_column(BigInteger)
    theirs: Mapped[str] = mapped_column(Text)
    ours: Mapped[str] = mapped_column(Text)


class Verification(Base):
    """A run of `verify`: over all history, or what was posted after the closed day `since`.

    `last_id` is the newest transaction that it read.
    """

    __tablename__ = "verification"

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    run_at: Mapped[datetime] = mapped_column(UTCDateTime)
    since: Mapped[date | None] = mapped_column(Date)
    differences: Mapped[int] = mapped_column(Integer)
    last_id: Mapped[int | None] = mapped_column(BigInteger)
