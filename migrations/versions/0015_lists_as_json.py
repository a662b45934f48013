"""Store countries, roles and commission rates as JSON instead of text joined by commas."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_LISTS = (("brand", "allowed_countries", ""), ("brand", "denied_countries", ""), ("customer", "roles", "customer"))
_RATES = "commission_rates"


def upgrade() -> None:
    for table, column, default in _LISTS:
        joined = f"""'["' || replace({column}, ',', '","') || '"]'"""
        _replace(table, column, sa.JSON(), joined, empty="[]", default=f'["{default}"]' if default else "[]")
    # `2026-03-01=2.5,2026-04-01=3` is [["2026-03-01","2.5"],["2026-04-01","3"]].
    pairs = f"""'[["' || replace(replace({_RATES}, ',', '"],["'), '=', '","') || '"]]'"""
    _replace("customer", _RATES, sa.JSON(), pairs, empty="[]", default="[]")


def downgrade() -> None:
    for table, column, default in _LISTS:
        type_ = sa.String(200) if column == "roles" else sa.Text()
        joined = _replaced(column, ('"', ""), ("[", ""), ("]", ""), (" ", ""))
        _replace(table, column, type_, joined, empty="", default=default)
    pairs = _replaced(_RATES, ('"', ""), (" ", ""), ("],[", ";"), ("[", ""), ("]", ""), (",", "="), (";", ","))
    _replace("customer", _RATES, sa.Text(), pairs, empty="", default="")


def _replace(table: str, column: str, type_: sa.types.TypeEngine[Any], value: str, *, empty: str, default: str) -> None:
    """Change a column's type and convert its values by an expression, without copying the table on SQLite."""
    made = f"CASE WHEN CAST({column} AS text) IN ('', '[]') THEN '{empty}' ELSE {value} END"
    if isinstance(type_, sa.JSON) and op.get_bind().dialect.name == "postgresql":
        made = f"CAST({made} AS json)"
    op.add_column(table, sa.Column(f"{column}_new", type_, nullable=False, server_default=default))
    op.execute(f"UPDATE {table} SET {column}_new = {made}")
    op.drop_column(table, column)
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {column}_new TO {column}")


def _replaced(column: str, *pairs: tuple[str, str]) -> str:
    """Return an SQL expression that applies replacements to a column's text, in order."""
    text = f"CAST({column} AS text)"
    for sign, instead in pairs:
        text = f"replace({text}, '{sign}', '{instead}')"
    return text
