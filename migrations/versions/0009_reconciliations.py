"""Create reconciliation runs."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("provider", Key(), nullable=False),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("first", sa.Date, nullable=False),
        sa.Column("last", sa.Date, nullable=False),
        sa.Column("lines", sa.BigInteger, nullable=False),
        sa.Column("breaks", sa.JSON, nullable=False),
        sa.Column("run_at", UTCDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("reconciliation")
