"""Create bookmakers, bookmaker accounts, and the rules that choose accounts for a customer."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bookie",
        sa.Column("code", Key(), primary_key=True),
        sa.Column("adapter", sa.String(20), nullable=False),
        sa.Column("url", sa.String(500), nullable=False),
        sa.Column("secret", sa.String(500)),
    )
    op.create_table(
        "bookie_account",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("group_id", sa.BigInteger, nullable=False),
        sa.Column("bookie", Key(), nullable=False),
        sa.Column("username", Key(100), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("stake_share", sa.String(20), nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("balance", sa.BigInteger),
        sa.Column("balance_at", UTCDateTime),
        sa.ForeignKeyConstraint(["group_id"], ["customer_group.id"], name=op.f("fk_bookie_account_group_id")),
        sa.ForeignKeyConstraint(["bookie"], ["bookie.code"], name=op.f("fk_bookie_account_bookie")),
        sa.UniqueConstraint("bookie", "username", name=op.f("uq_bookie_account_bookie_username")),
    )
    op.create_index(op.f("ix_bookie_account_group_id"), "bookie_account", ["group_id"])
    op.create_table(
        "tag_rules",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_tag_rules_customer_id")),
    )


def downgrade() -> None:
    for table in ("tag_rules", "bookie_account", "bookie"):
        op.drop_table(table)
