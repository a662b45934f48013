"""The checker finds what it is for: each test breaks a history that is right."""

import pytest

from tests.faults.history.checker import problems
from tests.faults.history.ledger import Ledger, Line
from tests.faults.history.operations import Attempt, Operation

WALLET = "players:1:UK"
BET = Operation("bet", "7", "game:acme:wager:1:stake", -1000)
PAYOUT = Operation("settlement", "7", "game:acme:wager:1:settlement:1", 2500)
READ = Operation("read", "7")

RIGHT = [
    Attempt(BET, 1, 2, 200),
    Attempt(READ, 3, 4, 200, 9000),
    Attempt(PAYOUT, 5, 6, None),
    Attempt(PAYOUT, 7, 8, 200),
    Attempt(READ, 9, 10, 200, 11500),
]


def ledger(*lines: tuple[str, int]) -> Ledger:
    """Return a ledger with transactions by reference, each with the amount that the customer gets."""
    entries, balance = [], 0
    for number, (reference, amount) in enumerate(lines, start=1):
        balance -= amount
        entries.append(Line(number, reference, WALLET, -amount, balance, number))
        entries.append(Line(number, reference, "house", amount, None, None))
    return Ledger(entries, {WALLET: balance}, {"7": WALLET})


OPENING = ("customer:acme:7:opening", 10_000)
STAKE = ("game:acme:wager:1:stake", -1000)
PAID = ("game:acme:wager:1:settlement:1", 2500)


def test_a_right_history_has_no_problems() -> None:
    assert problems(RIGHT, ledger(OPENING, STAKE, PAID)) == []


def test_an_attempt_without_answer_may_be_done_or_not() -> None:
    unknown = [Attempt(BET, 1, 2, None), Attempt(BET, 3, 4, 503)]
    assert problems(unknown, ledger(OPENING)) == problems(unknown, ledger(OPENING, STAKE)) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (ledger(OPENING, PAID), f"{STAKE[0]}: acknowledged, and not there"),
        (ledger(OPENING, STAKE, PAID, PAID), f"{PAID[0]}: done 2 times"),
        (ledger(OPENING, STAKE, (PAID[0], 2600)), f"{PAID[0]}: changed the balance by 2600 instead of 2500"),
        (ledger(OPENING, STAKE, PAID, ("game:acme:wager:2:stake", -1)), "game:acme:wager:2:stake: nobody asked for it"),
    ],
    ids=["lost", "doubled", "changed", "invented"],
)
def test_a_lost_doubled_changed_or_invented_operation_is_found(found: Ledger, expected: str) -> None:
    assert expected in problems(RIGHT, found)


def test_a_refused_operation_that_was_done_is_found() -> None:
    assert problems([Attempt(BET, 1, 2, 402)], ledger(OPENING, STAKE)) == [f"{STAKE[0]}: refused, and there"]


@pytest.mark.parametrize("balance", [10_000, 11_500, 9001])
def test_a_read_that_is_stale_early_or_invented_is_found(balance: int) -> None:
    history = [*RIGHT[:1], Attempt(READ, 3, 4, 200, balance), *RIGHT[2:]]
    assert problems(history, ledger(OPENING, STAKE, PAID)) == [f"read of 7: {balance} is none of [9000]"]


def test_a_read_beside_an_operation_may_see_it_or_not() -> None:
    for balance in (9000, 10_000):
        assert problems([Attempt(BET, 1, 4, 200), Attempt(READ, 2, 3, 200, balance)], ledger(OPENING, STAKE)) == []


def test_balances_and_sums_that_are_not_those_of_the_entries_are_found() -> None:
    right = ledger(OPENING, STAKE, PAID)
    lost = right._replace(lines=[line for line in right.lines if line.version != 2])
    assert f"{WALLET}: version 3 instead of 2" in problems(RIGHT, lost)
    assert "transaction 2: debits and credits differ by -1000" in problems(RIGHT, lost)
    assert f"{WALLET}: balance -11501, entries sum to -11500" in problems(
        RIGHT, right._replace(balances={WALLET: -11_501})
    )


def test_an_error_of_the_service_is_found() -> None:
    assert problems([Attempt(READ, 1, 2, 500)], ledger(OPENING)) == ["read: answered 500"]


@pytest.mark.parametrize(
    ("status", "done", "is_right"),
    [
        (200, 1, True),
        (200, 0, False),
        (200, 2, False),
        (None, 1, True),
        (None, 2, False),
        (400, 0, True),
        (400, 1, False),
    ],
)
def test_transfers_are_counted(status: int | None, done: int, is_right: bool) -> None:
    found = ledger(OPENING, *[(f"cashier:acme:transfer:{number}", -1) for number in range(done)])
    assert (problems([Attempt(Operation("transfer", "7"), 1, 2, status)], found) == []) is is_right
