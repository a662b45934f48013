"""Store exceptions of payments in the same table as exceptions of bets."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Key

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TABLE = "callback_exception"


def upgrade() -> None:
    # SQLite changes a column by copying the table, which is small.
    with op.batch_alter_table(_TABLE) as table:
        table.add_column(sa.Column("payment_id", sa.BigInteger))
        table.alter_column("game", existing_type=Key(), nullable=True)
        table.alter_column("bet_uid", existing_type=Key(), nullable=True)
        table.alter_column("subject", existing_type=Key(80), type_=Key(100), existing_nullable=False)
        table.create_check_constraint(op.f("ck_callback_exception_about"), "(bet_uid IS NULL) <> (payment_id IS NULL)")
    op.create_index("uq_callback_exception_payment_id_kind", _TABLE, ["payment_id", "kind"], unique=True)


def downgrade() -> None:
    op.execute(f"DELETE FROM {_TABLE} WHERE payment_id IS NOT NULL")
    op.drop_index("uq_callback_exception_payment_id_kind", _TABLE)
    with op.batch_alter_table(_TABLE) as table:
        table.drop_constraint(op.f("ck_callback_exception_about"), type_="check")
        table.drop_column("payment_id")
        table.alter_column("game", existing_type=Key(), nullable=False)
        table.alter_column("bet_uid", existing_type=Key(), nullable=False)
        table.alter_column("subject", existing_type=Key(100), type_=Key(80), existing_nullable=False)
