"""Manifests as anchors: what an export had is still in the ledger, and a broken manifest is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.finance.history import request_for
from tests.finance.tampering import tampered
from tests.world import World
from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.anchors import check_against, read_manifest
from wallet_hooks.finance.exports import FORMATS, write_file
from wallet_hooks.money import MAX_AMOUNT


@pytest.mark.all_together
def test_a_transaction_that_a_journal_had_is_missed_in_any_format(history: World, tmp_path: Path) -> None:
    manifests = {}
    for format_ in sorted({*FORMATS} - {"datev"}):
        write_file(history.engine, "journal", format_, request_for(), tmp_path / f"journal.{format_}")
        manifests[format_] = read_manifest(tmp_path / f"journal.{format_}.manifest.json")
    with reading(history.engine) as session:
        assert [one for manifest in manifests.values() for one in check_against(session, manifest)] == []
    adjustment = "(SELECT id FROM ledger_transaction WHERE kind = 'adjustment')"
    tampered(
        history,
        f"DELETE FROM ledger_entry WHERE transaction_id IN {adjustment}",
        "DELETE FROM ledger_transaction WHERE kind = 'adjustment'",
    )
    with reading(history.engine) as session:
        for format_, manifest in manifests.items():
            assert "debits" in str(check_against(session, manifest)[-1]), format_


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("report"),
        lambda manifest: manifest.pop("totals"),
        lambda manifest: manifest["ledger"].update(newest_seal="x"),
        lambda manifest: manifest["period"].update({"from": 5}),
        lambda manifest: manifest.update(totals={"EUR": 5}),
        lambda manifest: manifest.update(filters=[]),
    ],
)
def test_an_incomplete_manifest_is_refused(world: World, tmp_path: Path, change: Callable[[Any], Any]) -> None:
    path = tmp_path / "journal.csv.manifest.json"
    write_file(world.engine, "journal", "csv", request_for(), tmp_path / "journal.csv")
    manifest = json.loads(path.read_text())
    change(manifest)
    for content in (json.dumps(manifest), "[" * 100_000):
        path.write_text(content)
        with pytest.raises(RefusedError, match="not the manifest"):
            read_manifest(path)


def test_nothing_is_missing_of_a_ledger_that_was_empty_when_it_was_exported(empty_world: World, tmp_path: Path) -> None:
    empty_world.brand()
    empty_world.provider()
    path = tmp_path / "journal.csv"
    write_file(empty_world.engine, "journal", "csv", request_for(), path)
    manifest = read_manifest(tmp_path / "journal.csv.manifest.json")
    assert manifest["ledger"]["last_transaction"] is None
    empty_world.customer()
    with reading(empty_world.engine) as session:
        assert check_against(session, manifest) == []


def test_sums_above_the_maximum_of_an_amount_are_compared(world: World, tmp_path: Path) -> None:
    for number in range(3):
        world.deposit(f"{MAX_AMOUNT // 100}.00", reference=f"D{number}")
    path = tmp_path / "journal.csv"
    write_file(world.engine, "journal", "csv", request_for(), path)
    with reading(world.engine) as session:
        assert check_against(session, read_manifest(tmp_path / "journal.csv.manifest.json")) == []
