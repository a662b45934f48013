"""Create early settlements: those that were refused because their bet had not arrived."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Key, UTCDateTime
from wallet_hooks.database.schema_contents import changes_own_tables

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if changes_own_tables():
        op.create_table(
            "early_settlement",
            sa.Column("game", Key(), primary_key=True),
            sa.Column("client", Key(), primary_key=True),
            sa.Column("uid", Key(), primary_key=True),
            sa.Column("user_uid", Key(), primary_key=True),
            sa.Column("currency", Key(6), primary_key=True),
            sa.Column("payout", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("is_void", sa.Boolean, primary_key=True),
            sa.Column("refused_at", UTCDateTime, nullable=False),
            sa.Column("number", sa.Integer, nullable=False),
        )


def downgrade() -> None:
    if changes_own_tables():
        op.drop_table("early_settlement")
