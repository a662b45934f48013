"""Create payments: deposits, withdrawals and adjustments, in one step or two."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("brand_id", sa.BigInteger, nullable=False),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("method", sa.String(40), nullable=False),
        sa.Column("reference", Key(100), nullable=False),
        sa.Column("key", Key(100)),
        sa.Column("fingerprint", sa.String(32), nullable=False),
        sa.Column("in_two_steps", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_by", sa.String(120), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("finished_at", UTCDateTime),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_payment_brand_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_payment_customer_id")),
        sa.UniqueConstraint("brand_id", "kind", "reference", name=op.f("uq_payment_brand_id_kind_reference")),
        sa.UniqueConstraint("brand_id", "key", name=op.f("uq_payment_brand_id_key")),
        sa.CheckConstraint("status IN ('reserved', 'done', 'failed')", name=op.f("ck_payment_status")),
    )
    op.create_index(op.f("ix_payment_customer_id"), "payment", ["customer_id"])


def downgrade() -> None:
    op.drop_table("payment")
