"""Store the currencies in use with their decimals.

The decimals come from ISO 4217 or WALLET_HOOKS_CURRENCIES. If a currency in use is in neither, the meaning of its
amounts is unknown: the migration stops and changes nothing. Add the currency to WALLET_HOOKS_CURRENCIES with the
decimals that it had, migrate, and remove it again.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from wallet_hooks import money
from wallet_hooks.database import Key
from wallet_hooks.settings import ConfigurationError

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLE = "ledger_currency"
# Every customer's currency is the currency of an account.
_IN_USE = (
    "SELECT DISTINCT currency FROM ledger_account UNION SELECT currency FROM brand UNION SELECT currency FROM"
    " bookie_account"
)


def upgrade() -> None:
    table = op.create_table(
        _TABLE,
        sa.Column("code", Key(6), primary_key=True),
        sa.Column("decimals", sa.SmallInteger, nullable=False),
        sa.CheckConstraint("decimals BETWEEN 0 AND 8", name=op.f("ck_ledger_currency_decimals")),
    )
    if rows := [{"code": code, "decimals": _decimals(code)} for code in sorted(_currencies_in_use())]:
        op.bulk_insert(table, rows)
    for statement in _SQLITE_RULES if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL_RULES:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table(_TABLE)


def _currencies_in_use() -> set[str]:
    connection = op.get_bind()
    policies = connection.execute(sa.select(sa.column("policy", sa.JSON)).select_from(sa.table("brand"))).scalars()
    return set(connection.execute(sa.text(_IN_USE)).scalars()) | {
        code for policy in policies for code in _currencies_of_policy(policy or {})
    }


def _currencies_of_policy(policy: dict[str, Any]) -> Iterator[str]:
    """Yield the currencies of caps and defaults in a brand's limit rules."""
    rules = policy.get("limits", {})
    for name in ("caps", "defaults"):
        for amounts in rules.get(name, {}).values():
            yield from amounts


def _decimals(code: str) -> int:
    try:
        return money.known_decimals(code)
    except money.UnknownCurrencyError:
        raise ConfigurationError(
            f"{code} is in use, but neither in ISO 4217 nor in WALLET_HOOKS_CURRENCIES: list it there with the"
            f" decimals that its amounts have, as in {code}=8, until the database is migrated"
        ) from None


_POSTGRESQL_RULES = (
    """
    CREATE TRIGGER ledger_currency_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_currency
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()
    """,
)
_SQLITE_RULES = tuple(
    f"CREATE TRIGGER ledger_currency_is_kept_from_{event.lower()} BEFORE {event} ON ledger_currency"
    f" BEGIN SELECT RAISE(ABORT, 'ledger: {event} of ledger_currency is refused'); END"
    for event in ("UPDATE", "DELETE")
)
