"""The declarative base with its naming convention, and column types that both engines store exactly."""

from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

import wallet_hooks

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Shared:
    """Marks the model of a table that all brands share, also where each brand has a schema (see `brand_schemas`).

    It holds what is looked up before the brand is known. All other tables are the brands' own.
    """


class SharedAndOwn:
    """Marks the model of a table that is shared, and that each brand has as well where it has a schema."""


def load_models() -> None:
    """Import all models, so that Base knows every table."""
    for file in Path(wallet_hooks.__file__).parent.glob("*/models.py"):
        import_module(f"wallet_hooks.{file.parent.name}.models")


def table_names(mark: type[Any] = object) -> set[str]:
    """Return the names of the tables of all models that are loaded, or of those with a mark."""
    return {
        mapper.local_table.name  # type: ignore[attr-defined]
        for mapper in Base.registry.mappers
        if issubclass(mapper.class_, mark)
    }


def names_of_own_tables() -> set[str]:
    """Return the names of the tables that only the brands have, where each brand has a schema."""
    return table_names() - table_names(Shared) - table_names(SharedAndOwn)


def unique_keys(table: str) -> set[frozenset[str]]:
    """Return the columns of each unique key of a table, its primary key among them; not those of expressions."""
    found = Base.metadata.tables[table]
    unique = [one for one in found.constraints if isinstance(one, PrimaryKeyConstraint | UniqueConstraint)]
    indexes = [one for one in found.indexes if one.unique and len(one.columns) == len(one.expressions)]
    return {frozenset(one.columns.keys()) for one in (*unique, *indexes)}


def Key(length: int = 64) -> String:  # noqa: N802 - used as a type
    """Return a text type compared by bytes: cheaper in an index than a locale's order, and equal on both engines."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


# SQLite generates ids only for a primary key of type INTEGER.
Identity64 = BigInteger().with_variant(Integer, "sqlite")


class UTCDateTime(TypeDecorator[datetime]):
    """An instant: an aware datetime (UTC) in Python, timestamptz in PostgreSQL, UTC text in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without time zone; an aware datetime is expected")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def as_instant(value: datetime | str) -> datetime:
    """Return an instant from a raw value: SQLite's driver returns text."""
    return _read_instant(value) if isinstance(value, str) else value


def as_day(value: date | str) -> date:
    """Return a day from a raw value: SQLite's driver returns text."""
    return _read_day(value) if isinstance(value, str) else value


@lru_cache(maxsize=1024)
def _read_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _read_day(text: str) -> date:
    return date.fromisoformat(text)


class WideAmount(TypeDecorator[int]):
    """Minor units beyond BIGINT, because limits go up to 1e18 major units: NUMERIC in PostgreSQL, text in SQLite."""

    impl = Numeric(38, 0)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(40) if dialect.name == "sqlite" else Numeric(38, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)
