"""A backup is restored, and `verify --against` tells whether something is missing that an export had."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.conftest import fill_world, migrate
from tests.faults.clusters import Node, nodes
from tests.test_commands import Shell
from tests.world import OK, World, bet


@pytest.fixture
def server(postgresql_server: postgresql.Server) -> Iterator[tuple[Node, Node]]:
    """A server that archives its log (WAL), with the world, and the place for the restored one."""
    with nodes(postgresql_server, 2) as (node, restored):
        node.create()
        node.archive_to(node.directory / "archive")
        node.start()
        migrate(node.url)
        fill_world(node.url)
        yield node, restored


def export(shell: Shell, target: Path) -> Path:
    shell.ok("export", "journal", "-o", str(target))
    return Path(f"{target}.manifest.json")


def test_postgresql_is_restored_to_a_moment(server: tuple[Node, Node], tmp_path: Path) -> None:
    """A base backup and the archived log: what was done before the moment is there, what was done later is not."""
    node, restored = server
    world, shell = World(node.url), Shell(node.url)
    restored.back_up(node)
    assert world.place(bet(1)) == OK
    early = export(shell, tmp_path / "early.csv")
    ((moment,),) = node.execute("SELECT clock_timestamp()::text")
    assert world.place(bet(2)) == OK
    late = export(shell, tmp_path / "late.csv")
    node.finish_archive()
    world.close()
    node.stop()
    restored.restore(archive=node.directory / "archive", moment=str(moment))
    shell = Shell(restored.url)
    assert shell.run("verify", "--against", str(early)).returncode == 0
    ran = shell.run("verify", "--against", str(early), "--against", str(late))
    assert ran.returncode == 1
    assert "nothing is missing that an export had: transaction" in ran.stdout
    again = World(restored.url)
    assert (again.balance(), again.count("wager")) == ("90.00", 1)
    assert again.place(bet(2)) == OK, "the provider's repeat brings back what the backup did not have"
    assert again.balance() == "80.00"
    again.close()


def test_sqlite_is_backed_up_while_it_is_used(tmp_path: Path) -> None:
    file, copy = tmp_path / "wallet.db", tmp_path / "backup.db"
    url = f"sqlite:///{file}"
    migrate(url)
    fill_world(url)
    world = World(url)
    assert world.place(bet(1)) == OK
    early = export(Shell(url), tmp_path / "early.csv")
    with closing(sqlite3.connect(file)) as source:
        source.execute(f"VACUUM INTO '{copy}'")
    assert world.place(bet(2)) == OK
    late = export(Shell(url), tmp_path / "late.csv")
    world.close()
    shutil.copy(copy, file)
    for more in ("-wal", "-shm"):
        Path(f"{file}{more}").unlink(missing_ok=True)
    shell = Shell(url)
    assert shell.run("verify", "--against", str(early)).returncode == 0
    assert shell.run("verify", "--against", str(late)).returncode == 1


def test_verify_against_finds_what_is_missing_or_was_sealed_otherwise(world: World, tmp_path: Path) -> None:
    shell = Shell(world.settings.database_url)
    assert world.place(bet(1)) == OK
    path = export(shell, tmp_path / "journal.csv")
    right = json.loads(path.read_text())
    assert world.place(bet(2)) == OK
    assert "rules hold, and nothing is missing of 1 exports" in shell.ok("verify", "--against", str(path))

    def changed(**ledger: Any) -> dict[str, Any]:
        return {**right, "ledger": right["ledger"] | ledger}

    for wrong, message in (
        (changed(last_transaction=10**9), "transaction 1000000000: missing"),
        (changed(newest_seal={"day": "2026-01-01", "hash": "0" * 64}), "day 2026-01-01: not sealed"),
        (right | {"rows": right["rows"] + 1}, f"{right['rows']} entries instead of {right['rows'] + 1}"),
        (right | {"totals": {"EUR": {"debit": "9999.00", "credit": "9999.00"}}}, "instead of 999900 minor units"),
    ):
        path.write_text(json.dumps(wrong))
        ran = shell.run("verify", "--against", str(path))
        assert (ran.returncode, message in ran.stdout) == (1, True), ran.stdout


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"period": 1}', "\xff"])
def test_a_file_that_is_no_manifest_is_refused(world: World, tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content.encode("latin-1"))
    ran = Shell(world.settings.database_url).run("verify", "--against", str(path))
    assert (ran.returncode, "invalid_manifest: file is not the manifest" in ran.stderr) == (1, True)
