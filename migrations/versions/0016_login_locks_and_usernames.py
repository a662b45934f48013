"""Add login locks, separate from manager locks, and make usernames unique regardless of case.

Customers that are locked stay locked, as by a manager: the rows do not say whether wrong passwords were the cause.
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from wallet_hooks.database import UTCDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_SHOWN = 20
_ALIKE = (
    "SELECT c.username, b.client, c.uid FROM customer c JOIN brand b ON b.id = c.brand_id WHERE lower(c.username) IN"
    " (SELECT lower(username) FROM customer GROUP BY lower(username) HAVING count(*) > 1)"
    " ORDER BY lower(c.username), c.username"
)


def upgrade() -> None:
    _check_usernames()
    op.create_index("uq_customer_lower_username", "customer", [sa.text("lower(username)")], unique=True)
    op.add_column("customer", sa.Column("login_locks", sa.Integer, nullable=False, server_default="0"))
    op.add_column("customer", sa.Column("login_locked_until", UTCDateTime))


def downgrade() -> None:
    op.drop_column("customer", "login_locked_until")
    op.drop_column("customer", "login_locks")
    op.drop_index("uq_customer_lower_username", "customer")


def _check_usernames() -> None:
    """Raise CommandError, before anything is changed, that names customers whose usernames differ only in case."""
    alike = [f"{username} ({client} {uid})" for username, client, uid in op.get_bind().execute(sa.text(_ALIKE))]
    if alike:
        more = f" and {len(alike) - _SHOWN} more" if len(alike) > _SHOWN else ""
        raise CommandError(
            f"usernames that differ only in case: {', '.join(alike[:_SHOWN])}{more}. Nothing was migrated: leave one"
            " of each and give the others another username (PATCH /v1/customers/<username>/ of the version that is"
            " running), then migrate again"
        )
