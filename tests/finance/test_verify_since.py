"""`verify --since` checks what was posted after a seal, and names the broken rule."""

import json
from datetime import date

import pytest
from freezegun import freeze_time

from tests.finance.history import post_three_days
from tests.finance.tampering import tampered
from tests.test_commands import Shell
from tests.world import World, bet
from wallet_hooks import clock
from wallet_hooks.finance.closing import close

SEALED = date(2026, 11, 19)


@pytest.fixture
def later(empty_world: World) -> World:
    """Two sealed days; on the third a cancel and a bet, and customers without postings since."""
    post_three_days(empty_world)
    close(empty_world.engine, SEALED, now=clock.now())
    return empty_world


def found(world: World) -> list[str]:
    ran = Shell(world.settings.database_url).run("verify", "--since", "2026-11-19", "--json")
    return [one["rule"] for one in json.loads(ran.stdout)]


@pytest.mark.all_together
def test_an_unchanged_ledger_has_no_differences(later: World) -> None:
    assert found(later) == []
    with freeze_time("2026-11-21T12:00:00Z"):
        later.place(bet(100))
    assert found(later) == []
    shell = Shell(later.settings.database_url)
    assert shell.run("verify", "--since", "2026-11-20").returncode == 1  # not closed
    assert shell.run("verify", "--since", "soon").returncode == 2


NEWEST = "(SELECT max(id) FROM ledger_transaction)"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (
            f"UPDATE ledger_entry SET amount = amount + 1 WHERE transaction_id = {NEWEST} AND line = 1",
            "entries sum to zero",
        ),
        (f"DELETE FROM ledger_entry WHERE transaction_id = {NEWEST}", "a transaction has entries"),
        (f"DELETE FROM ledger_transaction WHERE id = {NEWEST}", "an entry has its transaction"),
        (
            f"UPDATE ledger_entry SET currency = 'USD' WHERE transaction_id = {NEWEST}",
            "an entry is in its account's currency",
        ),
        (
            f"UPDATE ledger_account SET balance = balance + 1 WHERE id IN"
            f" (SELECT account_id FROM ledger_entry WHERE transaction_id = {NEWEST})",
            "a balance equals the sum of its entries",
        ),
        (
            "UPDATE ledger_account SET balance = balance + 1 WHERE currency = 'KWD' AND holder_id IS NOT NULL",
            "balances equal the seal's plus later entries",
        ),
        (
            f"UPDATE ledger_entry SET version = version + 1 WHERE transaction_id = {NEWEST}",
            "versions are gap-free and balances run on",
        ),
        (
            f"UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE transaction_id = {NEWEST}",
            "versions are gap-free and balances run on",
        ),
        (
            f"UPDATE ledger_transaction SET reverses_id = 1 WHERE id = {NEWEST}",
            "a reversal takes back the whole transaction that it points to",
        ),
        (
            f"UPDATE ledger_transaction SET booked_on = '2026-11-19', recorded_at = '2199-01-01' WHERE id = {NEWEST}",
            "nothing is posted into a closed period",
        ),
        (
            "UPDATE limit_usage SET staked = staked + 1 WHERE day = '2026-11-20'",
            "limit usage matches the ledger, wagers and payments",
        ),
    ],
    ids=lambda value: value if " " in value and not value.startswith(("UPDATE", "DELETE")) else "",
)
def test_a_change_after_the_seal_is_found(later: World, statement: str, rule: str) -> None:
    tampered(later, statement)
    assert rule in found(later)


def test_a_change_before_the_seal_is_found_by_the_check_of_all_history(later: World) -> None:
    tampered(later, "UPDATE ledger_transaction SET description = 'x' WHERE id = 1")
    assert found(later) == []
    assert "a closed day matches its seal" in Shell(later.settings.database_url).run("verify").stdout
