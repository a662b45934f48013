"""Keep every Idempotency-Key that a payment was asked for with, also those of repetitions."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Key
from wallet_hooks.database.schema_contents import changes_own_tables

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if changes_own_tables():
        op.create_table(
            "payment_key",
            sa.Column("brand_id", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("key", Key(100), primary_key=True),
            sa.Column("payment_id", sa.BigInteger, sa.ForeignKey("payment.id"), nullable=False),
        )


def downgrade() -> None:
    if changes_own_tables():
        op.drop_table("payment_key")
