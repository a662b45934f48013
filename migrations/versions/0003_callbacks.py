"""Create deliveries, wagers and exceptions."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("path", sa.String(64), nullable=False),
        sa.Column("received_at", UTCDateTime, nullable=False),
        sa.Column("source", sa.String(45), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("duration_us", sa.Integer, nullable=False),
    )
    op.create_index(op.f("ix_delivery_received_at"), "delivery", ["received_at"], postgresql_using="brin")
    op.create_table(
        "delivery_bet",
        sa.Column("bet", Key(194), primary_key=True),
        sa.Column("delivery_id", sa.Uuid, primary_key=True),
    )
    op.create_index(op.f("ix_delivery_bet_delivery_id"), "delivery_bet", ["delivery_id"], postgresql_using="brin")
    op.create_table(
        "wager",
        sa.Column("game", Key(), primary_key=True),
        sa.Column("client", Key(), primary_key=True),
        sa.Column("uid", Key(), primary_key=True),
        sa.Column("user_uid", Key(), nullable=False),
        sa.Column("customer_id", sa.BigInteger),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("refusal", sa.String(40)),
        sa.Column("fingerprint", sa.String(32)),
        sa.Column("pool_uid", Key()),
        sa.Column("currency", Key(6)),
        sa.Column("stake", sa.BigInteger),
        sa.Column("cost", sa.BigInteger),
        sa.Column("home_currency", Key(6)),
        sa.Column("rate", sa.String(26)),
        sa.Column("possible_payout", sa.BigInteger),
        sa.Column("ip", sa.String(64)),
        sa.Column("placed_at", UTCDateTime, nullable=False),
        sa.Column("payout", sa.BigInteger),
        sa.Column("home_payout", sa.BigInteger),
        sa.Column("result", sa.Text),
        sa.Column("outcome", sa.String(40)),
        sa.Column("replaced", sa.Text),
        sa.Column("settlements", sa.BigInteger, nullable=False),
        sa.Column("closed_at", UTCDateTime),
        sa.CheckConstraint("status IN ('open', 'settled', 'cancelled', 'refused')", name=op.f("ck_wager_status")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_wager_open_on_event",
        "wager",
        ["customer_id", "pool_uid", "game"],
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "callback_exception",
        sa.Column("id", Identity64, primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("game", Key(), nullable=False),
        sa.Column("client", Key(), nullable=False),
        sa.Column("bet_uid", Key(), nullable=False),
        sa.Column("subject", Key(80), nullable=False),
        sa.Column("delivery_id", sa.Uuid),
        sa.Column("raised_at", UTCDateTime, nullable=False),
        sa.Column("resolved_at", UTCDateTime),
        sa.Column("reason", sa.Text),
        sa.UniqueConstraint(
            "game",
            "client",
            "bet_uid",
            "kind",
            "subject",
            name=op.f("uq_callback_exception_game_client_bet_uid_kind_subject"),
        ),
    )


def downgrade() -> None:
    for table in ("callback_exception", "wager", "delivery_bet", "delivery"):
        op.drop_table(table)
