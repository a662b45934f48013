"""A migration goes through the shared tables and every brand's schema, and goes on where it was interrupted."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from tests import citus
from tests.brand_schemas.conftest import BRANDS
from tests.conftest import Databases
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
_NEXT_INDEX = """
from alembic import op
from wallet_hooks.database.schema_contents import changes_own_tables, creates_schema

revision, down_revision = "9999", "{newest}"
branch_labels = depends_on = None


def upgrade():
    if creates_schema():
        op.create_index("ix_probe", "wager", ["status"])
    elif changes_own_tables():
        with op.get_context().autocommit_block():
            op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_probe")
            op.create_index("ix_probe", "wager", ["status"], postgresql_concurrently=True)
"""
MANY = 200
FIRST = "0023"  # the first migration with a schema for each brand


@pytest.fixture
def next_migrations(tmp_path: Path) -> Path:
    """The migrations with one more, of shared tables and of brands'."""
    return with_next(tmp_path, _NEXT)


def with_next(directory: Path, text: str) -> Path:
    """Copy the migrations, with one more."""
    copied = directory / "migrations"
    shutil.copytree(MIGRATIONS, copied, ignore=shutil.ignore_patterns("__pycache__"))
    (copied / "versions" / "9999_probe.py").write_text(text.format(newest=newest_of(copied)))
    return copied


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


def test_the_migrations_since_brands_have_schemas_can_be_undone_and_repeated(spread: World, shell: Shell) -> None:
    shell.ok("db", "downgrade", FIRST, "--yes")
    shell.ok("db", "upgrade")
    assert shell.ok("db", "check") == "no problem found\n"
    assert spread.place(bet()) == OK


def test_a_database_of_an_earlier_release_is_right_once_it_is_migrated(databases: Databases) -> None:
    databases.create("earlier")
    shell = Shell(databases.url("earlier"), WALLET_HOOKS_BRAND_SCHEMAS="on")
    shell.ok("db", "upgrade", FIRST)
    shell.ok("db", "upgrade")
    assert shell.ok("db", "check") == "no problem found\n"
    databases.drop("earlier")


def test_a_brand_that_is_added_has_the_newest_migration(spread: World, next_migrations: Path) -> None:
    migrate(spread.settings.database_url, next_migrations, "upgrade")
    add_new_brand(spread, next_migrations)
    assert "brand_5.wager" in probes(spread)


def add_new_brand(world: World, migrations: Path) -> None:
    new = ("brand", "add", "--id", "5", "--client", "new", "--currency", "EUR", "--timezone", "Europe/Rome")
    process = start(world.settings.database_url, migrations, *new)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


@pytest.mark.skipif(citus.COORDINATOR is not None, reason="Citus has rules of its own for indexes")
def test_an_index_is_built_while_the_service_writes_and_after_an_interruption(spread: World, tmp_path: Path) -> None:
    """As docs/migrations.md says."""
    migrations = with_next(tmp_path, _NEXT_INDEX)
    with spread.shared.begin() as connection:
        connection.execute(text("CREATE INDEX ix_probe ON brand_1008.wager (uid)"))
    migrate(spread.settings.database_url, migrations, "upgrade")
    add_new_brand(spread, migrations)
    found = text("SELECT count(*) FROM pg_indexes WHERE indexname = 'ix_probe' AND indexdef LIKE '%(status)'")
    with reading(spread.shared) as session:
        assert session.scalar(found) == len(BRANDS) + 1


@pytest.mark.parametrize("revision", ["-1", "+1", ""])
def test_a_revision_that_is_relative_is_refused(spread: World, revision: str) -> None:
    """An interrupted run leaves schemas at different ones, and the same words would mean another one the next time."""
    shell = Shell(spread.settings.database_url, WALLET_HOOKS_BRAND_SCHEMAS="on")
    for arguments in (("upgrade", "--", revision), ("downgrade", "--yes", "--", revision)):
        ran = shell.run("db", *arguments)
        assert (ran.returncode, "names no migration" in ran.stderr) == (1, True)


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
