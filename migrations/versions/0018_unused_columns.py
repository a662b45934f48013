"""Drop the unused ledger_transaction.metadata, and rename limit_quote.standing to fingerprint."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("ledger_transaction", "metadata")
    op.alter_column("limit_quote", "standing", new_column_name="fingerprint")


def downgrade() -> None:
    op.alter_column("limit_quote", "fingerprint", new_column_name="standing")
    op.add_column("ledger_transaction", sa.Column("metadata", sa.JSON))
