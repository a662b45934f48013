"""Tables of betslips, their newest prices and their messages."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "betslip",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("brand_id", sa.BigInteger(), nullable=False),
        sa.Column("game", Key(), nullable=False),
        sa.Column("betslip_id", Key(), nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("is_streamed", sa.Boolean(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("bounds", sa.JSON()),
        sa.Column("announced_ts", sa.String(40)),
        sa.Column("announcement", sa.Text()),
        sa.Column("closed_ts", sa.String(40)),
        sa.Column("closing", sa.Text()),
        sa.Column("late_prices", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_betslip")),
        sa.UniqueConstraint("brand_id", "game", "betslip_id", name=op.f("uq_betslip_brand_id_game_betslip_id")),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_betslip_brand_id")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_betslip_customer_id")),
    )
    op.create_index(op.f("ix_betslip_customer_id_id"), "betslip", ["customer_id", "id"])
    op.create_index(
        "uq_betslip_streamed",
        "betslip",
        ["brand_id", "betslip_id"],
        unique=True,
        postgresql_where=sa.text("is_streamed"),
        sqlite_where=sa.text("is_streamed"),
    )
    op.create_table(
        "betslip_price",
        sa.Column("betslip_id", sa.BigInteger(), nullable=False),
        sa.Column("bookie", Key(), nullable=False),
        sa.Column("username", Key(100), nullable=False),
        sa.Column("ts", sa.String(40)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("bounds", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("betslip_id", "bookie", "username", name=op.f("pk_betslip_price")),
        sa.ForeignKeyConstraint(["betslip_id"], ["betslip.id"], name=op.f("fk_betslip_price_betslip_id")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "betslip_message",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("betslip_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(20), nullable=False),
        sa.Column("ts", sa.String(40)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", UTCDateTime(), nullable=False),
        sa.Column("delivery_id", sa.String(32), nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("seq", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_betslip_message")),
        sa.ForeignKeyConstraint(["betslip_id"], ["betslip.id"], name=op.f("fk_betslip_message_betslip_id")),
        sa.UniqueConstraint("customer_id", "seq", name=op.f("uq_betslip_message_customer_id_seq")),
    )
    op.create_index(op.f("ix_betslip_message_betslip_id_id"), "betslip_message", ["betslip_id", "id"])
    op.create_table(
        "betslip_sequence",
        sa.Column("customer_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_betslip_sequence")),
    )


def downgrade() -> None:
    op.drop_table("betslip_sequence")
    op.drop_table("betslip_message")
    op.drop_table("betslip_price")
    op.drop_table("betslip")
