"""Create seals of closed days."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_seal",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("transactions", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger),
        sa.Column("totals", sa.JSON, nullable=False),
        sa.Column("balances", sa.JSON, nullable=False),
        sa.Column("sealed_at", UTCDateTime, nullable=False),
        sa.Column("reopened_at", UTCDateTime),
        sa.Column("reopened_by", sa.String(100)),
        sa.Column("reopen_reason", sa.Text),
    )
    standing = sa.text("reopened_at IS NULL")
    op.create_index(
        "uq_ledger_seal_standing",
        "ledger_seal",
        ["day"],
        unique=True,
        postgresql_where=standing,
        sqlite_where=standing,
    )


def downgrade() -> None:
    op.drop_table("ledger_seal")
