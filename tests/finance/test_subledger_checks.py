"""`verify` compares payments, open bets and accounts' names with the ledger."""

import pytest

from tests.finance.tampering import tampered
from tests.world import OK, World, bet, result


@pytest.fixture
def busy(world: World) -> World:
    """Payments, open and settled bets, in the customer's currency."""
    world.deposit("5.00", reference="D1")
    assert world.place(bet(1), bet(2), bet(3, "2.50")) == OK
    assert world.settle(result(1, "25.00")) == OK
    assert world.differences() == []
    return world


@pytest.mark.parametrize(
    ("statement", "rule", "where"),
    [
        ("UPDATE payment SET amount = 5000", "a payment that is done", "payment 1"),
        ("UPDATE payment SET reference = 'D2'", "a payment that is done", "payment 1"),
        ("UPDATE payment SET customer_id = customer_id + 1000", "a payment that is done", "payment 1"),
        ("UPDATE wager SET stake = 10 * stake WHERE status = 'open'", "open stakes", "customer 1 EUR"),
        ("UPDATE wager SET status = 'cancelled' WHERE uid = '2'", "open stakes", "customer 1 EUR"),
        ("UPDATE ledger_account SET kind = 'income' WHERE name = 'psp:opening'", "an account is", "account psp:"),
        (
            "UPDATE ledger_account SET holder_id = 7 WHERE name = 'players:1:open_stakes'",
            "an account is",
            "account players:1:open_stakes EUR",
        ),
    ],
)
def test_what_differs_from_the_ledger_is_found(busy: World, statement: str, rule: str, where: str) -> None:
    tampered(busy, statement)
    found = [one for one in busy.differences() if one.rule.startswith(rule)]
    assert found
    assert found[0].where.startswith(where)


def test_a_payment_that_waits_has_nothing_in_the_ledger(busy: World) -> None:
    tampered(busy, "UPDATE payment SET status = 'reserved', reference = 'D3'")
    assert [one for one in busy.differences() if one.rule.startswith("a payment")] == []


def test_usage_that_is_no_whole_number_is_found(busy: World) -> None:
    """SQLite stores it as it is."""
    tampered(busy, "UPDATE limit_usage SET staked = staked + 0.5")
    assert [one.where.partition(" on ")[0] for one in busy.differences()] == ["customer 1"]
