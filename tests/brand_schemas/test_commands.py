"""Commands where each brand has a schema: of one brand, and of all, one after the other."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests import citus
from tests.brand_schemas.conftest import BRANDS
from tests.conftest import Databases
from tests.test_commands import Shell
from tests.world import OK, World, bet, result
from wallet_hooks.database import migrating, reading, schema_contents
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.settings import ConfigurationError

COMMAND = str(Path(sys.executable).with_name("wallet-hooks"))
NEW = ("brand", "add", "--id", "2000", "--client", "south", "--currency", "EUR", "--timezone", "Europe/Rome")
REPORT = "brand,bet,currency,stake\nacme,1,EUR,10.00\nnordbet,2,EUR,10.00\n"


@pytest.fixture
def played(spread: World) -> World:
    """A bet of each of two brands, settled, on 20 November."""
    with freeze_time("2026-11-20T12:00:00Z"):
        for uid, client in ((1, "acme"), (2, "nordbet")):
            assert spread.place(bet(uid, client=client)) == OK
            assert spread.settle(result(uid, client=client)) == OK
    return spread


def schemas(world: World) -> set[str]:
    with reading(world.shared) as session:
        return set(session.scalars(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'brand%'")))


def test_a_brand_is_added_with_its_schema(spread: World, shell: Shell) -> None:
    shell.ok(*NEW)
    listed = json.loads(shell.ok("brand", "list", "--json"))
    assert {row["client"]: row["schema"] for row in listed}["south"] == "brand_2000"
    assert "brand_2000" in shell.ok("brand", "list")
    spread.provider("south")
    shell.ok("customer", "create", "--brand", "south", "--uid", "7", "--username", "south7", "--currency", "EUR")
    spread.customer("8", client="south")
    assert spread.place(bet(1, user=8, client="south")) == OK
    assert shell.ok("db", "check") == "no problem found\n"


def test_a_brand_whose_schema_fails_half_way_is_not_there(
    spread: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("half-way")

    before = schemas(spread)
    with monkeypatch.context() as patch:
        patch.setattr(schema_contents, "drop_shared_tables", fail)
        assert shell.run(*NEW).returncode == 1
    assert schemas(spread) == before
    assert "south" not in shell.ok("brand", "list")
    shell.ok(*NEW)
    assert schemas(spread) == before | {"brand_2000"}


def test_the_setting_must_fit_to_the_database(spread: World, database_url: str) -> None:
    advice = "wallet-hooks: WALLET_HOOKS_BRAND_SCHEMAS: the database has a schema for each brand: set it to on\n"
    for command in (("brand", "list"), ("db", "upgrade")):
        ran = Shell(spread.settings.database_url, WALLET_HOOKS_BRAND_SCHEMAS="off").run(*command)
        assert (ran.returncode, ran.stderr) == (2, advice)
    if database_url.startswith("sqlite"):
        ran = Shell(database_url, WALLET_HOOKS_BRAND_SCHEMAS="on").run("db", "upgrade")
        assert (ran.returncode, "SQLite has no schemas" in ran.stderr) == (2, True)


def test_brands_that_are_together_stay_together(world: World) -> None:
    if world.settings.brand_schemas or world.engine.dialect.name == "sqlite":
        pytest.skip("a database without brand schemas is needed")
    engine = World(world.settings.database_url, brand_schemas=True).shared
    with pytest.raises(ConfigurationError, match="keeps them there: unset it"):
        upgrade(engine)
    engine.dispose()


def test_verify_checks_every_brand(played: World, shell: Shell) -> None:
    ran = shell.run("verify")
    assert (ran.returncode, ran.stderr.splitlines()) == (
        0,
        ["brand acme (1 of 3)", "brand nordbet (2 of 3)", "brand west (3 of 3)"],
    )
    with played.of("nordbet").begin() as connection:
        connection.execute(text("ALTER TABLE ledger_entry DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE ledger_entry SET amount = amount + 1 WHERE line = 1"))
    broken = shell.run("verify")
    assert broken.returncode == 1
    assert {line.split(": ")[1] for line in broken.stdout.splitlines() if ": " in line} == {"brand nordbet"}
    assert shell.run("verify", "--brand", "acme").returncode == 0
    assert shell.run("verify", "--brand", "nordbet").returncode == 1


def test_books_are_closed_and_opened_brand_by_brand(played: World, shell: Shell) -> None:
    assert shell.ok("close", "2026-11-20", "--brand", "acme").count("closed:") == 1
    closed = shell.ok("close", "2026-11-20")
    assert closed.count(" closed:") == 2
    assert "2026-11-20 is closed already" in closed
    assert shell.run("verify", "--since", "2026-11-20").returncode == 0
    assert shell.ok("reopen", "2026-11-20", "--reason", "late", "--brand", "west") == "opened again: 1 day\n"
    opened = shell.ok("reopen", "2026-11-20", "--reason", "late")
    assert (opened.count("opened again of "), opened.count(": 1 day"), opened.count("is not closed")) == (2, 2, 1)
    assert shell.run("reopen", "2026-11-20", "--reason", "late").returncode == 1


def test_a_command_goes_on_with_the_other_brands_where_one_fails(played: World, shell: Shell, tmp_path: Path) -> None:
    with played.shared.begin() as connection:
        connection.execute(text("ALTER SCHEMA brand_1008 RENAME TO lost"))
    period = ("--from", "2026-11-20", "--to", "2026-11-20")
    report = tmp_path / "report.csv"
    report.write_text(REPORT)
    for command in (
        ("verify",),
        ("close", "2026-11-20"),
        ("reopen", "2026-11-20", "--reason", "late"),
        ("export", "journal", "-o", str(tmp_path / "journal.csv")),
        ("reconcile", "--provider", "betflex", str(report), *period),
        ("betslips", "prune"),
    ):
        ran = shell.run(*command)
        assert ran.returncode == 1, command
        assert "hold" not in ran.stdout
        assert "brand nordbet: database (schema_outdated): " in ran.stderr, command
        assert ran.stderr.splitlines()[-1] == "Error: failed for nordbet; done for the other brands", command
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == [
        "journal.acme.csv",
        "journal.west.csv",
        "report.csv",
    ]


def test_a_command_for_one_brand_says_what_is_wrong_with_it(played: World, shell: Shell) -> None:
    ran = shell.run("close", "2199-01-01", "--brand", "west")
    assert (ran.returncode, ran.stderr.count("\n"), "day_not_over" in ran.stderr) == (1, 1, True)
    ran = shell.run("verify", "--since", "2026-11-20", "--brand", "west", "--json")
    assert (ran.returncode, ran.stdout, "not_closed" in ran.stderr) == (1, "", True)


def test_brands_whose_files_would_have_one_name_are_exported_one_by_one(
    played: World, shell: Shell, tmp_path: Path
) -> None:
    played.brand("acme-2", id_=3000)
    ran = shell.run("export", "journal", "--format", "xero", "-o", str(tmp_path / "j.csv"))
    assert (ran.returncode, "'acme-2'" in ran.stderr, list(tmp_path.iterdir())) == (2, True, [])
    shell.ok("export", "journal", "--format", "xero", "--brand", "acme-2", "-o", str(tmp_path / "j.csv"))
    ran = shell.run("export", "journal", "-o", "/dev/null")
    assert (ran.returncode, "name a brand" in ran.stderr) == (2, True)


def test_each_brands_report_is_a_file(played: World, shell: Shell, tmp_path: Path) -> None:
    shell.ok("export", "journal", "-o", str(tmp_path / "journal.csv"))
    files = sorted(path.name for path in tmp_path.glob("*.csv"))
    assert files == [f"journal.{client}.csv" for client in BRANDS]
    assert shell.run("export", "journal").returncode == 2
    shell.ok("export", "journal", "--brand", "acme", "-o", str(tmp_path / "own.csv"))
    assert (tmp_path / "own.csv").read_text() == (tmp_path / "journal.acme.csv").read_text()
    assert "nordbet" not in (tmp_path / "journal.acme.csv").read_text()
    manifest = str(tmp_path / "journal.acme.csv.manifest.json")
    assert shell.run("verify", "--against", manifest, "--brand", "acme").returncode == 0
    assert shell.run("verify", "--against", manifest).returncode == 2
    assert shell.run("verify", "--against", manifest, "--brand", "west").returncode == 2
    assert json.loads(Path(manifest).read_text())["filters"] == {"brand": "acme"}


def test_exports_over_http_name_a_brand(played: World, shell: Shell) -> None:
    def get(query: str, token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return played.client.get(f"/finance/exports/journal.csv{query}", headers=headers).status_code

    everywhere = shell.ok("token", "create", "--role", "finance", "--name", "all").split()[-1]
    of_west = shell.ok("token", "create", "--role", "finance", "--name", "west", "--brand", "west").split()[-1]
    assert [get("", everywhere), get("?brand=acme", everywhere), get("?brand=nobody", everywhere)] == [400, 200, 404]
    assert [get("", of_west), get("?brand=acme", of_west), get("?brand=west", of_west)] == [403, 403, 200]


def test_a_report_of_several_brands_is_matched_with_each(played: World, shell: Shell, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    report.write_text(REPORT)
    period = ("--from", "2026-11-20", "--to", "2026-11-20")
    ran = shell.run("reconcile", "--provider", "betflex", str(report), *period)
    assert (
        ran.returncode,
        ran.stderr.count("1 lines: no breaks"),
        ran.stderr.count("brand west: not in the report"),
    ) == (0, 2, 1)
    report.write_text(REPORT.replace("nordbet,2", "nordbet,3"))
    assert shell.run("reconcile", "--provider", "betflex", str(report), *period).returncode == 1
    report.write_text(REPORT + "nobody,1,EUR,1.00\n")
    ran = shell.run("reconcile", "--provider", "betflex", str(report), *period)
    assert (ran.returncode, ran.stderr) == (2, "Error: line 4: there is no brand 'nobody'\n")


def test_customers_of_several_brands_are_imported_together_or_not_at_all(spread: World, shell: Shell) -> None:
    rows = "brand,uid,username,currency,balance,credit_limit\nacme,8,eve,EUR,5.00,0\nwest,8,tom,EUR,6.00,0\n"
    assert shell.run("customer", "import", "-", stdin=f"{rows}west,9,EVE,EUR,1,0\n").returncode == 1
    assert spread.count("customer") == 1
    shell.ok("customer", "import", "-", stdin=rows)
    assert [spread.balance("8", client=client) for client in ("acme", "west")] == ["5.00", "6.00"]
    listed = json.loads(shell.ok("customer", "list", "--json"))
    assert [(row["brand"], row["uid"]) for row in listed] == [
        ("acme", "7"), ("acme", "8"), ("nordbet", "7"), ("west", "7"), ("west", "8"),
    ]  # fmt: skip


def test_what_staff_must_look_at_is_listed_and_resolved_for_all_brands(played: World, shell: Shell) -> None:
    for client in ("acme", "west"):
        played.settle(result(77, client=client))
    rows = json.loads(shell.ok("exceptions", "list", "--json"))
    assert [row["brand"] for row in rows] == ["acme", "west"]
    shell.ok("exceptions", "resolve", str(rows[1]["id"]), "--reason", "seen")
    assert len(json.loads(shell.ok("exceptions", "list", "--json"))) == 1
    assert shell.run("exceptions", "resolve", "999", "--reason", "seen").returncode == 1


def test_old_deliveries_of_all_brands_are_deleted(played: World, shell: Shell) -> None:
    played.place(bet(5, client="nobody"))
    with freeze_time("2030-01-01T12:00:00Z"):
        assert shell.ok("deliveries", "prune") == "5 deliveries deleted\n"


def test_the_traffic_of_a_brand_is_recorded(spread: World, shell: Shell, tmp_path: Path) -> None:
    for client in BRANDS:
        assert spread.place(bet(client=client)) == OK
        assert spread.settle(result(client=client)) == OK
    assert spread.place(bet(10, client="nordbet"), bet(10, client="west")) == OK
    assert spread.settle(result(10, client="nordbet")) == OK
    capture = tmp_path / "capture.jsonl"
    assert shell.run("replay", "record", "-o", str(capture)).returncode == 2
    ran = shell.run("replay", "record", "--brand", "nordbet", "-o", str(capture))
    assert (ran.returncode, len(capture.read_text().splitlines()), "1 left out" in ran.stderr) == (0, 2, True)
    assert shell.run("replay", "run", str(capture)).returncode == 0


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TRIGGER ledger_entry_is_kept ON brand_1008.ledger_entry",
        "DROP TRIGGER ledger_entry_is_not_truncated ON brand_1008.ledger_entry",
        "ALTER TABLE brand_1008.ledger_transaction DISABLE TRIGGER ledger_transaction_is_kept",
        pytest.param(
            "DROP TRIGGER staff_action_is_kept ON staff_action",
            marks=pytest.mark.skipif(citus.COORDINATOR is not None, reason="Citus refuses this"),
        ),
        "DROP TRIGGER ledger_entry_is_balanced ON brand_1008.ledger_entry",
        "DROP TRIGGER ledger_transaction_is_in_open_period ON brand_1008.ledger_transaction",
        "ALTER TABLE brand_1008.ledger_entry ENABLE REPLICA TRIGGER ledger_entry_is_kept",
        "CREATE OR REPLACE FUNCTION brand_1008.ledger_keep() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NULL; END $$",
        "ALTER FUNCTION brand_1008.ledger_check_entries() SET search_path TO brand_1008",
        "ALTER TABLE brand_1008.ledger_transaction DROP CONSTRAINT uq_ledger_transaction_reference",
        "ALTER TABLE brand_1008.wager DROP CONSTRAINT pk_wager CASCADE",
        "DROP TABLE brand_1008.wager",
        "DROP TABLE brand_1008.payment CASCADE",
        "DROP TABLE brand_1008.ledger_entry CASCADE",
        "ALTER TABLE brand_1008.delivery RENAME TO lost",
        "CREATE TABLE public.payment (brand_1008 int)",
        "DELETE FROM brand_1008.alembic_version",
        "UPDATE brand_1008.alembic_version SET version_num = '0001'",
        "ALTER SCHEMA brand_1008 RENAME TO lost",
    ],
)
def test_a_schema_that_is_not_as_it_must_be_is_found(spread: World, shell: Shell, harm: str) -> None:
    with spread.shared.begin() as connection:
        connection.execute(text(harm))
    named = next((name for name in ("staff_action", "public.payment") if name in harm), "brand_1008")
    ran = shell.run("db", "check")
    assert (ran.returncode, named in ran.stderr) == (1, True)
    answer = spread.client.get("/readyz")
    assert (answer.status_code, named in answer.get_json()["status"]) == (503, True)


def test_a_migration_drops_no_rows_from_public(spread: World, shell: Shell) -> None:
    with spread.shared.begin() as connection:
        connection.execute(text("CREATE TABLE public.payment AS SELECT 1 AS precious"))
    ran = shell.run("db", "upgrade")
    assert (ran.returncode, "public.payment" in ran.stderr) == (1, True)
    with spread.shared.begin() as connection:
        assert connection.scalar(text("SELECT precious FROM public.payment")) == 1
        connection.execute(text("DELETE FROM public.payment"))
    shell.ok("db", "upgrade")
    assert shell.ok("db", "check") == "no problem found\n"


IN_BRAND = "IN SCHEMA brand_1007, brand_1008, brand_1009"
READS = [
    "USAGE ON SCHEMA public, brand_1007, brand_1008, brand_1009",
    "SELECT ON ALL TABLES IN SCHEMA public",
    f"SELECT ON ALL TABLES {IN_BRAND}",
]
WRITES = [
    "INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public",
    f"INSERT, UPDATE, DELETE ON ALL TABLES {IN_BRAND}",
]


@pytest.mark.parametrize(
    ("grants", "denied"),
    [
        (["USAGE ON SCHEMA public", "SELECT ON ALL TABLES IN SCHEMA public"], "schema brand_1007"),
        (READS, "insert on application, insert on application_subscription"),
        ([*READS, WRITES[0].replace(", UPDATE", ""), WRITES[1]], "usage on bookie_account_id_seq"),
        ([*READS, *(one.replace(", UPDATE", "") for one in WRITES)], "update on brand_1007.callback_exception"),
        ([*READS, *WRITES], "usage on bookie_account_id_seq"),
    ],
)
def test_a_role_without_rights_is_told_so(spread: World, shell: Shell, grants: list[str], denied: str) -> None:
    """As where another role migrates, and the service's has no default privileges."""
    name = f"service_{spread.database}"
    with spread.shared.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        for grant in grants:
            connection.execute(text(f"GRANT {grant} TO {name}"))
    try:
        url = spread.settings.database_url.replace("postgres@", f"{name}@")
        ran = shell.run("db", "check", WALLET_HOOKS_DATABASE_URL=url)
        assert (ran.returncode, denied in ran.stderr) == (1, True), ran.stderr
        world = World(url, brand_schemas=True)
        assert denied in world.client.get("/readyz").get_json()["status"]
        world.close()
    finally:
        with spread.shared.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))


def test_each_schema_has_its_tables_after_a_migration_by_the_command(databases: Databases, tmp_path: Path) -> None:
    """In a process that has loaded no more than the command needs."""
    databases.create("by_command")
    shell = Shell(databases.url("by_command"), WALLET_HOOKS_BRAND_SCHEMAS="on")
    shell.ok("db", "upgrade")
    shell.ok(*NEW)
    assert shell.ok("db", "check") == "no problem found\n"
    shell.ok("customer", "create", "--brand", "south", "--uid", "7", "--username", "s7", "--currency", "EUR")
    of_south = ("--brand", "south", "--uid", "7", "--amount", "5.00", "--reference", "r", "--method", "card")
    shell.ok("cashier", "deposit", *of_south)
    world = World(shell.environment["WALLET_HOOKS_DATABASE_URL"], brand_schemas=True)
    with reading(world.shared) as session:
        assert session.scalar(text("SELECT count(*) FROM brand_2000.payment")) == 1
        assert session.scalar(text("SELECT to_regclass('public.payment')")) is None
    world.close()
    databases.drop("by_command")


def test_a_brand_is_added_by_the_program_that_migrated(spread: World, shell: Shell) -> None:
    """Another program would make a schema at another migration."""
    with spread.shared.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    before = schemas(spread)
    ran = shell.run(*NEW)
    assert (ran.returncode, "database at migration 9999" in ran.stderr) == (1, True)
    assert schemas(spread) == before


def test_a_brand_waits_for_a_migration_without_a_lock_that_it_wants(spread: World, shell: Shell) -> None:
    with spread.shared.connect() as migration:
        migration.execute(text("SELECT pg_advisory_lock(:key)"), {"key": migrating._LOCK})
        migration.commit()
        with ThreadPoolExecutor(1) as thread:
            adding = thread.submit(subprocess.run, [COMMAND, *NEW], env=shell.environment, check=True)
            time.sleep(1.5)
            migration.execute(text("SET LOCAL lock_timeout = '1s'"))
            migration.execute(text("ALTER TABLE brand ADD COLUMN probe integer"))
            migration.commit()
            assert not adding.done()
            migration.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": migrating._LOCK})
            migration.commit()
            assert adding.result(60).returncode == 0
    assert "brand_2000" in schemas(spread)


def test_an_unknown_customer_has_no_rules(shell: Shell) -> None:
    ran = shell.run("bookie", "rules", "--customer", "nobody", "-", stdin="[]")
    assert (ran.returncode, ran.stderr) == (1, "wallet-hooks: not_found: no customer 'nobody'\n")
