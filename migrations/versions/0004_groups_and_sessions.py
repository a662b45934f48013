"""Create groups, managers, credit limit history, logins, API tokens, country rules, commission, coupon events."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime, WideAmount

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("allowed_countries", "denied_countries"):
        op.add_column("brand", sa.Column(column, sa.Text, nullable=False, server_default=""))
    op.create_table(
        "customer_group",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("brand_id", sa.BigInteger, nullable=False),
        sa.Column("name", Key(), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_customer_group_brand_id")),
        sa.UniqueConstraint("brand_id", "name", name=op.f("uq_customer_group_brand_id_name")),
    )
    # Plain SQL, because SQLite can add a foreign key only in the statement that adds the column.
    op.execute(
        "ALTER TABLE customer ADD COLUMN group_id BIGINT CONSTRAINT fk_customer_group_id REFERENCES customer_group (id)"
    )
    op.create_index(op.f("ix_customer_group_id_id"), "customer", ["group_id", "id"])
    op.add_column("customer", sa.Column("commission_rates", sa.Text, nullable=False, server_default=""))
    op.add_column("customer", sa.Column("failed_logins", sa.Integer, nullable=False, server_default="0"))
    op.add_column("customer", sa.Column("last_login_at", UTCDateTime))
    op.create_table(
        "group_manager",
        sa.Column("group_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("customer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.ForeignKeyConstraint(["group_id"], ["customer_group.id"], name=op.f("fk_group_manager_group_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_group_manager_customer_id")),
    )
    op.create_index(op.f("ix_group_manager_customer_id"), "group_manager", ["customer_id"])
    op.create_table(
        "credit_limit_change",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("amount", WideAmount, nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("changed_at", UTCDateTime, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("changed_by", sa.String(100), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_credit_limit_change_customer_id")),
    )
    op.create_index(op.f("ix_credit_limit_change_customer_id"), "credit_limit_change", ["customer_id"])
    op.create_table(
        "login_session",
        sa.Column("token_hash", Key(), primary_key=True),
        sa.Column("customer_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("used_at", UTCDateTime, nullable=False),
        sa.Column("source", sa.String(45), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_login_session_customer_id")),
    )
    op.create_index(op.f("ix_login_session_customer_id"), "login_session", ["customer_id"])
    op.create_table(
        "unknown_login",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("failures", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "api_token",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("token_hash", Key(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("brand_id", sa.BigInteger),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("used_at", UTCDateTime),
        sa.Column("revoked_at", UTCDateTime),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_api_token_brand_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_token_token_hash")),
    )
    op.add_column("wager", sa.Column("commission_rate", sa.String(20)))
    op.create_table(
        "coupon_event",
        sa.Column("game", Key(), primary_key=True),
        sa.Column("pool_uid", Key(), primary_key=True),
        sa.Column("event", Key(), nullable=False),
    )
    op.create_index(op.f("ix_coupon_event_game_event"), "coupon_event", ["game", "event"])


def downgrade() -> None:
    op.drop_table("coupon_event")
    op.drop_column("wager", "commission_rate")
    for table in ("api_token", "unknown_login", "login_session", "credit_limit_change", "group_manager"):
        op.drop_table(table)
    op.drop_index(op.f("ix_customer_group_id_id"), "customer")
    for column in ("last_login_at", "failed_logins", "commission_rates", "group_id"):
        op.drop_column("customer", column)
    op.drop_table("customer_group")
    for column in ("denied_countries", "allowed_countries"):
        op.drop_column("brand", column)
