"""The ledger's tables. Amounts are minor units, debit positive and credit negative; instants are UTC."""

from datetime import date, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    Index,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks import money
from wallet_hooks.database.tables import Base, Identity64, Key, Shared, UTCDateTime


class StoredCurrency(Shared, Base):
    """A currency in use, with the number of decimals that its amounts were written with. Rows are never changed."""

    __tablename__ = "ledger_currency"
    __table_args__ = (CheckConstraint(f"decimals BETWEEN 0 AND {money.MAX_DECIMALS}", name="decimals"),)

    code: Mapped[str] = mapped_column(Key(6), primary_key=True)
    decimals: Mapped[int] = mapped_column(SmallInteger)


class Account(Base):
    """A ledger account: one row per name and currency.

    A customer's account (`holder_id` is the customer's id) stores its balance and the version of its last entry on the
    row. House accounts do not, so that bets never wait for a row that all bets share.
    """

    __tablename__ = "ledger_account"
    __table_args__ = (
        UniqueConstraint("name", "currency"),
        Index(None, "holder_id"),
        CheckConstraint("kind IN ('asset', 'liability', 'income', 'expense', 'equity')", name="kind"),
        CheckConstraint(
            "(holder_id IS NULL) = (balance IS NULL) AND (holder_id IS NULL) = (version IS NULL)", name="held"
        ),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    name: Mapped[str] = mapped_column(Key(200))
    currency: Mapped[str] = mapped_column(Key(6))
    kind: Mapped[str] = mapped_column(String(10))
    holder_id: Mapped[int | None] = mapped_column(BigInteger)
    balance: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int | None] = mapped_column(BigInteger)


class Transaction(Base):
    """A ledger transaction: `reference` names its cause and is unique, `fingerprint` is a hash of the cause's facts."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (UniqueConstraint("reference"), Index(None, "booked_on", postgresql_using="brin"))

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    reference: Mapped[str] = mapped_column(Key(250))
    fingerprint: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime] = mapped_column(UTCDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UTCDateTime)
    booked_on: Mapped[date] = mapped_column(Date)
    description: Mapped[str | None] = mapped_column(Text)
    reverses_id: Mapped[int | None] = mapped_column(BigInteger)


class Entry(Base):
    """One line of a transaction; on a customer's account it has the balance after it and a gap-free version."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        Index(
            "uq_ledger_entry_account_id_version",
            "account_id",
            "version",
            unique=True,
            postgresql_where=text("version IS NOT NULL"),
            sqlite_where=text("version IS NOT NULL"),
        ),
        # A customer's entries are found by version, those of a house account by transaction.
        Index(
            "ix_ledger_entry_house",
            "account_id",
            "transaction_id",
            postgresql_where=text("version IS NULL"),
            sqlite_where=text("version IS NULL"),
        ),
        CheckConstraint("(balance_after IS NULL) = (version IS NULL)", name="held"),
    )

    transaction_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Key(6))
    amount: Mapped[int] = mapped_column(BigInteger)
    balance_after: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[int | None] = mapped_column(BigInteger)


class Period(Base):
    """A closed accounting day: nothing is posted into it or into any day before it."""

    __tablename__ = "ledger_period"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(UTCDateTime)


class ExchangeRate(Shared, Base):
    """The price of one unit of `source` in units of `target`; the newest row applies."""

    __tablename__ = "exchange_rate"
    __table_args__ = (UniqueConstraint("source", "target", "valid_from"),)

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    source: Mapped[str] = mapped_column(Key(6))
    target: Mapped[str] = mapped_column(Key(6))
    rate: Mapped[str] = mapped_column(String(26))
    valid_from: Mapped[datetime] = mapped_column(UTCDateTime)
    quoted_on: Mapped[date | None] = mapped_column(Date)


class Seal(Base):
    """The hash of a closed day's transactions, chained to the seal of the day before (see `sealing.py`).

    `totals` are debits by currency; `balances` are the accounts' balances at the day's end, by name (customers'
    accounts summed by wallet) and currency. Both are minor units, debit positive. Reopening a day keeps its seal for
    the audit trail; triggers refuse any other change.
    """

    __tablename__ = "ledger_seal"
    __table_args__ = (
        Index(
            "uq_ledger_seal_standing",
            "day",
            unique=True,
            postgresql_where=text("reopened_at IS NULL"),
            sqlite_where=text("reopened_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity64, primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    transactions: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(BigInteger)
    last_id: Mapped[int | None] = mapped_column(BigInteger)
    totals: Mapped[dict[str, int]] = mapped_column(JSON)
    balances: Mapped[dict[str, dict[str, int]]] = mapped_column(JSON)
    sealed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    reopened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reopened_by: Mapped[str | None] = mapped_column(String(100))
    reopen_reason: Mapped[str | None] = mapped_column(Text)
