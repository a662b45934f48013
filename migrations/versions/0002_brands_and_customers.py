"""Create brands, providers and customers."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime, WideAmount

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brand",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("client", Key(), nullable=False),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("day_start", sa.String(5), nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.UniqueConstraint("client", name=op.f("uq_brand_client")),
    )
    op.create_table(
        "provider",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("game", Key(), nullable=False),
        sa.Column("brand_id", sa.BigInteger, nullable=False),
        sa.Column("auth", sa.String(20), nullable=False),
        sa.Column("secrets", sa.JSON, nullable=False),
        sa.Column("allow", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_provider_brand_id")),
        sa.UniqueConstraint("game", "brand_id", name=op.f("uq_provider_game_brand_id")),
    )
    op.create_table(
        "customer",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("brand_id", sa.BigInteger, nullable=False),
        sa.Column("uid", Key(), nullable=False),
        sa.Column("username", Key(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("password_hash", sa.String(255)),
        sa.Column("currency", Key(6), nullable=False),
        sa.Column("credit_limit", WideAmount, nullable=False),
        sa.Column("max_stake_per_event", WideAmount),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.text("true")),
        sa.Column("locked", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("roles", sa.String(200), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.ForeignKeyConstraint(["brand_id"], ["brand.id"], name=op.f("fk_customer_brand_id")),
        sa.UniqueConstraint("brand_id", "uid", name=op.f("uq_customer_brand_id_uid")),
        sa.UniqueConstraint("username", name=op.f("uq_customer_username")),
        postgresql_with={"fillfactor": "60"},
    )


def downgrade() -> None:
    for table in ("customer", "provider", "brand"):
        op.drop_table(table)
