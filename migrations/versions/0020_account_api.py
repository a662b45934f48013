"""Tables of the account API: profiles, applications, subscriptions, web applications; days of reference rates."""

import sqlalchemy as sa
from alembic import op

from wallet_hooks.database import Identity64, Key, UTCDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLES = (
    "web_app_token", "authorisation_code", "web_app_grant", "vendor_client", "application_subscription",
    "application_version", "application", "customer_profile",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("exchange_rate", sa.Column("quoted_on", sa.Date()))
    _create_profiles()
    _create_applications()
    _create_subscriptions()
    _create_web_apps()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("exchange_rate", "quoted_on")


def _create_profiles() -> None:
    op.create_table(
        "customer_profile",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_name", sa.String(100)),
        sa.Column("last_name", sa.String(100)),
        sa.Column("locale", sa.String(20)),
        sa.Column("region", sa.String(100)),
        sa.Column("timezone", sa.String(64)),
        sa.Column("country", sa.String(2)),
        sa.Column("discount_rate", sa.String(20), server_default="0", nullable=False),
        sa.Column("points_balance", sa.Integer(), server_default="0", nullable=False),
        sa.Column("referred_by_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_profile")),
        _foreign_key("customer_profile", "customer_id", "customer"),
        _foreign_key("customer_profile", "referred_by_id", "customer"),
    )


def _create_applications() -> None:
    op.create_table(
        "application",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("folded_name", Key(300), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("subscription_required", sa.Boolean(), nullable=False),
        sa.Column("secret_hash", Key()),
        sa.Column("redirect_url", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
        sa.UniqueConstraint("folded_name", name=op.f("uq_application_folded_name")),
        _foreign_key("application", "owner_id", "customer"),
    )
    op.create_index(op.f("ix_application_owner_id"), "application", ["owner_id"])
    op.create_table(
        "application_version",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(10), nullable=False),
        sa.Column("key", Key(), nullable=False),
        sa.Column("delay_data", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_version")),
        sa.UniqueConstraint("application_id", "version", name=op.f("uq_application_version_application_id_version")),
        sa.UniqueConstraint("key", name=op.f("uq_application_version_key")),
        _foreign_key("application_version", "application_id", "application"),
    )


def _create_subscriptions() -> None:
    op.create_table(
        "application_subscription",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("token", Key(), nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger()),
        sa.Column("client_reference", sa.String(100)),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime()),
        sa.Column("activated_at", UTCDateTime()),
        sa.Column("cancelled_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_subscription")),
        sa.UniqueConstraint("token", name=op.f("uq_application_subscription_token")),
        _foreign_key("application_subscription", "application_id", "application"),
        _foreign_key("application_subscription", "customer_id", "customer"),
    )
    for columns in (["application_id", "customer_id"], ["customer_id"]):
        name = op.f(f"ix_application_subscription_{'_'.join(columns)}")
        op.create_index(name, "application_subscription", columns)
    op.create_table(
        "vendor_client",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vendor_client")),
        sa.UniqueConstraint("owner_id", "customer_id", name=op.f("uq_vendor_client_owner_id_customer_id")),
        _foreign_key("vendor_client", "owner_id", "customer"),
        _foreign_key("vendor_client", "customer_id", "customer"),
    )


def _create_web_apps() -> None:
    op.create_table(
        "web_app_grant",
        sa.Column("id", Identity64, nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_web_app_grant")),
        _foreign_key("web_app_grant", "application_id", "application"),
        _foreign_key("web_app_grant", "customer_id", "customer"),
    )
    op.create_index(
        op.f("ix_web_app_grant_customer_id_application_id"), "web_app_grant", ["customer_id", "application_id"]
    )
    op.create_table(
        "authorisation_code",
        sa.Column("code_hash", Key(), nullable=False),
        sa.Column("application_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("grant_id", sa.BigInteger()),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_authorisation_code")),
        _foreign_key("authorisation_code", "application_id", "application"),
        _foreign_key("authorisation_code", "customer_id", "customer"),
        _foreign_key("authorisation_code", "grant_id", "web_app_grant"),
    )
    op.create_index(op.f("ix_authorisation_code_customer_id"), "authorisation_code", ["customer_id"])
    op.create_table(
        "web_app_token",
        sa.Column("token_hash", Key(), nullable=False),
        sa.Column("grant_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(7), nullable=False),
        sa.Column("expires_at", UTCDateTime()),
        sa.Column("used_at", UTCDateTime()),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_web_app_token")),
        sa.CheckConstraint("kind IN ('access', 'refresh')", name=op.f("ck_web_app_token_kind")),
        _foreign_key("web_app_token", "grant_id", "web_app_grant"),
    )
    op.create_index(op.f("ix_web_app_token_grant_id"), "web_app_token", ["grant_id"])


def _foreign_key(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))
