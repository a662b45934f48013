"""Checks which migration a database is at, and whether the code can use it.

Does not import Alembic, which is slow: revisions are read from the names of the migration files.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from wallet_hooks.database.faults import DATABASE_ERRORS, Fault, fault_of
from wallet_hooks.database.layout import require_layout
from wallet_hooks.errors import RefusedError

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed package contains the migrations; in a checkout they are next to the package.
MIGRATIONS = next(path for path in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations") if path.is_dir())


def require_current_schema(engine: Engine) -> None:
    """Make the engine's first transaction raise an error if the database does not fit to the code or the settings.

    RefusedError (`schema_outdated`) if migrations are missing; ConfigurationError if its layout is another one.
    """

    def check(driver_connection: Any, _record: object) -> None:
        cursor = driver_connection.cursor()
        try:
            row = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
            problem = schema_problem(row and row[0])
        except DATABASE_ERRORS as error:
            if fault_of(error) is not Fault.SCHEMA_OUTDATED:
                driver_connection.close()
                raise
            problem = schema_problem(None)
        if problem is not None:
            driver_connection.close()
            raise RefusedError("schema_outdated", problem)
        driver_connection.rollback()

    event.listen(engine, "connect", check, once=True)
    event.listen(engine, "begin", require_layout, once=True)


def schema_problem(revision: str | None) -> str | None:
    """Return what is wrong with a database at `revision` (None: never migrated) and what to run, or None if nothing.

    A revision that the code does not have is newer than the code, and accepted: a running service continues while a
    newer version migrates.
    """
    *older, head = _revisions()
    if revision is not None and revision not in older:
        return None
    return f"database at migration {revision or 'none'}, code at {head}: run wallet-hooks db upgrade"


def newest_revision() -> str:
    """Return the newest migration of the code."""
    return _revisions()[-1]


def current_revision(session: Session) -> str | None:
    """Return the database's migration, or None if it was never migrated."""
    try:
        return cast("str | None", session.scalar(text("SELECT version_num FROM alembic_version")))
    except DBAPIError as error:
        if fault_of(error) is Fault.SCHEMA_OUTDATED:
            return None
        raise


@cache
def _revisions() -> list[str]:
    """Return the revisions of the code's migrations, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))
