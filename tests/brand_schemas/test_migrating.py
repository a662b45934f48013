"""A migration goes through the shared tables and every brand's schema, and goes on where it was interrupted."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.brand_schemas.conftest import BRANDS
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks.database import reading, writing
from wallet_hooks.database.brand_schemas import schema_of
from wallet_hooks.database.revisions import MIGRATIONS
from wallet_hooks.identity.service import add_brand

# The command, with migrations from another directory.
_COMMAND = """
import pathlib, sys
from wallet_hooks.database import migrating, revisions
migrating.MIGRATIONS = revisions.MIGRATIONS = pathlib.Path(sys.argv.pop(1))
from wallet_hooks.cli import main
main()
"""
_NEXT = """
import sqlalchemy as sa
from alembic import op
from wallet_hooks.database.schema_contents import changes_own_tables, changes_shared_tables

revision, down_revision = "9999", "{newest}"
branch_labels = depends_on = None


def upgrade():
    if changes_shared_tables():
        op.add_column("brand", sa.Column("probe", sa.Integer))
    if changes_own_tables():
        op.add_column("wager", sa.Column("probe", sa.Integer))


def downgrade():
    if changes_own_tables():
        op.drop_column("wager", "probe")
    if changes_shared_tables():
        op.drop_column("brand", "probe")
"""
MANY = 200


@pytest.fixture
def next_migrations(tmp_path: Path) -> Path:
    """The migrations with one more, of shared tables and of brands'."""
    directory = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, directory, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "versions" / "9999_probe.py").write_text(_NEXT.format(newest=newest_of(directory)))
    return directory


def newest_of(migrations: Path) -> str:
    """Return the revision of the newest migration."""
    return max(path.name[:4] for path in (migrations / "versions").glob("*.py"))


def start(url: str, migrations: Path, *arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": url, "WALLET_HOOKS_BRAND_SCHEMAS": "on"}
    command = [sys.executable, "-c", _COMMAND, str(migrations), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def migrate(url: str, migrations: Path, *arguments: str) -> list[str]:
    """Run a command, and return the schemas that it went through."""
    process = start(url, migrations, "db", *arguments)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return [line.split()[0] for line in errors.splitlines()]


def probes(world: World) -> list[str]:
    """Return the tables that have the migration's column."""
    query = text("SELECT table_schema || '.' || table_name FROM information_schema.columns WHERE column_name = 'probe'")
    with reading(world.shared) as session:
        return sorted(session.scalars(query))


def test_a_migration_changes_each_table_where_it_is(spread: World, next_migrations: Path) -> None:
    url, schemas = spread.settings.database_url, [schema_of(id_) for id_ in BRANDS.values()]
    assert migrate(url, next_migrations, "upgrade") == schemas
    assert probes(spread) == [*(f"{schema}.wager" for schema in schemas), "public.brand"]
    assert spread.place(bet()) == OK
    assert migrate(url, next_migrations, "downgrade", newest_of(MIGRATIONS), "--yes") == schemas[::-1]
    assert probes(spread) == []
    assert spread.place(bet(10)) == OK


def test_a_brand_that_is_added_has_the_newest_migration(spread: World, next_migrations: Path) -> None:
    migrate(spread.settings.database_url, next_migrations, "upgrade")
    new = ("brand", "add", "--id", "5", "--client", "new", "--currency", "EUR", "--timezone", "Europe/Rome")
    process = start(spread.settings.database_url, next_migrations, *new)
    assert process.wait(60) == 0
    process.communicate()
    assert "brand_5.wager" in probes(spread)


@pytest.fixture
def many_brands(spread: World) -> World:
    for number in range(1, MANY - len(BRANDS) + 1):
        with writing(spread.shared) as session:
            add_brand(session, id_=number, client=f"b{number}", currency="EUR", timezone="Europe/Rome", policy=None)
    return spread


@pytest.mark.slow
def test_a_migration_of_many_brands_that_is_killed_goes_on(many_brands: World, next_migrations: Path) -> None:
    url = many_brands.settings.database_url
    shell = Shell(url, WALLET_HOOKS_BRAND_SCHEMAS="on")
    for stop_at in (40, 120):
        process = start(url, next_migrations, "db", "upgrade")
        assert process.stderr is not None
        for line in process.stderr:
            if f"({stop_at} of {MANY})" in line:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        # Some brands have the column; all are served, by the release before as well.
        assert stop_at - 2 <= len(probes(many_brands)) < MANY
        assert many_brands.place(bet(stop_at, "0.10"), bet(stop_at, "0.10", client="west")) == OK
    assert len(migrate(url, next_migrations, "upgrade")) == MANY
    assert len(probes(many_brands)) == MANY + 1
    assert shell.ok("db", "check") == "no problem found\n"
    assert many_brands.place(bet(999, "0.10")) == OK
