"""Which migration a database is at, and whether the code can work with it. Knows nothing of Alembic, which is slow to
import: a migration's file begins with its revision.
"""

from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from wallet_hooks.database.faults import DATABASE_ERRORS, Fault, fault_of
from wallet_hooks.errors import RefusedError

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed package has the migrations inside, a checkout beside it.
MIGRATIONS = next(path for path in (_PACKAGE / "migrations", _PACKAGE.parent / "migrations") if path.is_dir())


def require_current_schema(engine: Engine) -> None:
    """Have the engine's first connection refused with RefusedError where migrations are missing."""

    def check(driver_connection: Any, _record: object) -> None:
        cursor = driver_connection.cursor()
        try:
            row = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
            problem = outdated(row and row[0])
        except DATABASE_ERRORS as error:
            if fault_of(error) is not Fault.SCHEMA_OUTDATED:
                driver_connection.close()
                raise
            problem = outdated(None)
        if problem is not None:
            driver_connection.close()
            raise RefusedError("schema_outdated", problem)
        driver_connection.rollback()

    event.listen(engine, "connect", check, once=True)


def outdated(revision: str | None) -> str | None:
    """What is wrong with a database at `revision` (None: never migrated), and what to do; None where nothing is.

    A revision that the code does not know is newer than the code: a service goes on while its successor migrates.
    """
    *older, head = _revisions()
    if revision is not None and revision not in older:
        return None
    return f"database at migration {revision or 'none'}, code at {head}: run wallet-hooks db upgrade"


def current_revision(session: Session) -> str | None:
    """The migration that the database is at; None where none was run."""
    try:
        return cast("str | None", session.scalar(text("SELECT version_num FROM alembic_version")))
    except DBAPIError as error:
        if fault_of(error) is Fault.SCHEMA_OUTDATED:
            return None
        raise


@cache
def _revisions() -> list[str]:
    """The migrations that the code knows, the newest last."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("*.py"))
