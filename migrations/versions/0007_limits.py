"""Create players' limits, quotes, reality checks and limit usage."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customer", sa.Column("limited", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.create_table(
        "player_limit",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(10), nullable=False),
        sa.Column("frame", sa.String(10), nullable=False),
        sa.Column("amount", sa.BigInteger),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("set_by", sa.String(10), nullable=False),
        sa.Column("moves", sa.Boolean, nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("anchored_at", UTCDateTime, nullable=False),
        sa.Column("effective_at", UTCDateTime, nullable=False),
        sa.Column("needs_confirmation", sa.Boolean, nullable=False),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("swapped_at", UTCDateTime),
        sa.Column("ended_at", UTCDateTime),
        sa.Column("end_reason", sa.Text),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_player_limit_customer_id")),
        sa.CheckConstraint("type IN ('bet', 'loss', 'deposit', 'time_limit')", name=op.f("ck_player_limit_type")),
        sa.CheckConstraint("set_by IN ('player', 'operator')", name=op.f("ck_player_limit_set_by")),
    )
    op.create_index(op.f("ix_player_limit_customer_id"), "player_limit", ["customer_id"])
    live = sa.text("status IN ('ACTIVE', 'PENDING')")
    op.create_index(
        "uq_player_limit_live",
        "player_limit",
        ["customer_id", "type", "frame", "set_by", "status"],
        unique=True,
        postgresql_where=live,
        sqlite_where=live,
    )
    op.create_table(
        "limit_quote",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("uuid", Key(), primary_key=True),
        sa.Column("asked", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.Column("standing", sa.String(32), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("applied_at", UTCDateTime),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_limit_quote_customer_id")),
    )
    op.create_table(
        "reality_check",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("changed_at", UTCDateTime, nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_reality_check_customer_id")),
    )
    op.create_table(
        "limit_usage",
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Date, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("staked", "voided", "returned", "paid", "deposited")
        ),
        postgresql_with={"fillfactor": "60"},
    )


def downgrade() -> None:
    for table in ("limit_usage", "reality_check", "limit_quote", "player_limit"):
        op.drop_table(table)
    op.drop_column("customer", "limited")
