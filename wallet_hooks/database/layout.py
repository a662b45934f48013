"""Where the brands' tables are: together, or in a schema for each brand. Chosen by the first migration, and stored."""

from sqlalchemy import Boolean, CheckConstraint, Connection, SmallInteger, inspect, select
from sqlalchemy.orm import Mapped, mapped_column

from wallet_hooks.database.brand_schemas import has_brand_schemas
from wallet_hooks.database.tables import Base, Shared
from wallet_hooks.settings import ConfigurationError


class Layout(Shared, Base):
    """The stored choice: one row."""

    __tablename__ = "database_layout"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    brand_schemas: Mapped[bool] = mapped_column(Boolean)


def stored_layout(connection: Connection) -> bool | None:
    """Return whether each brand has a schema in the database; None if nothing is stored yet."""
    if not inspect(connection).has_table(Layout.__tablename__):
        return None
    return connection.scalar(select(Layout.brand_schemas))


def layout_problem(connection: Connection) -> str | None:
    """Return how the setting contradicts the stored choice; None if it does not, or if nothing is stored yet."""
    stored = stored_layout(connection)
    if stored is None or stored == has_brand_schemas(connection.engine):
        return None
    if stored:
        return "WALLET_HOOKS_BRAND_SCHEMAS: the database has a schema for each brand: set it to on"
    return "WALLET_HOOKS_BRAND_SCHEMAS: the database has all brands in one schema, and keeps them there: unset it"


def require_layout(connection: Connection) -> None:
    """Raise ConfigurationError if the setting contradicts the stored choice."""
    if (problem := layout_problem(connection)) is not None:
        raise ConfigurationError(problem)
