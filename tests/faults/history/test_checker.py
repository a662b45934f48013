"""The checker finds what it is for: each test breaks a history that is right."""

from collections.abc import Sequence

import pytest

from tests.faults.history import checker
from tests.faults.history.ledger import StoredEntry, StoredLedger
from tests.faults.history.operations import Attempt, HistoryOperation

WALLET, SAVINGS, OPEN = "players:1:UK", "players:1:AUSTRALIAN", "players:1:open_stakes"
OTHER_WALLET = "players:2:UK"
BET = HistoryOperation("bet", "7", "game:acme:wager:1:stake", -1000)
PAYOUT = HistoryOperation("settlement", "7", "game:acme:wager:1:settlement:1", 2500)
READ = HistoryOperation("read", "7")
TRANSFER = HistoryOperation("transfer", "7", amount=-1)

RIGHT = [
    Attempt(BET, 1, 2, 200),
    Attempt(READ, 3, 4, 200, 9000),
    Attempt(PAYOUT, 5, 6, None),
    Attempt(PAYOUT, 7, 8, 200),
    Attempt(READ, 9, 10, 200, 11500),
]
OPENING = ("customer:acme:7:opening", 10_000)
STAKE = ("game:acme:wager:1:stake", -1000)
PAID = ("game:acme:wager:1:settlement:1", 2500)


def problems(history: Sequence[Attempt], found: StoredLedger) -> list[str]:
    return checker.problems(history, found, dict([OPENING]))


def ledger(*lines: tuple[str, int], wallet: str = WALLET, other: str = "house") -> StoredLedger:
    """Return a ledger with transactions by reference, each with the amount that the customer gets.

    `wallet` is the customer's, except that of the opening balance; `other` is the other account of transfers.
    """
    entries: list[StoredEntry] = []
    balances: dict[str, int] = {WALLET: 0, OTHER_WALLET: 0}
    versions = dict.fromkeys(balances, 0)
    for number, (reference, amount) in enumerate(lines, start=1):
        own = WALLET if reference == OPENING[0] else wallet
        balances[own] -= amount
        versions[own] += 1
        entries.append(StoredEntry(number, reference, own, -amount, balances[own], versions[own]))
        against = other if ":transfer:" in reference else "house"
        entries.append(StoredEntry(number, reference, against, amount, None, None))
    return StoredLedger(entries, balances, {"7": WALLET, "8": OTHER_WALLET})


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
        (
            ledger(OPENING, STAKE, (PAID[0], 2600)),
            f"{PAID[0]}: changed {{'{WALLET}': 2600}} instead of {{'{WALLET}': 2500}}",
        ),
        (ledger(OPENING, STAKE, PAID, ("game:acme:wager:2:stake", -1)), "game:acme:wager:2:stake: nobody asked for it"),
    ],
    ids=["lost", "doubled", "changed", "invented"],
)
def test_a_lost_doubled_changed_or_invented_operation_is_found(found: StoredLedger, expected: str) -> None:
    assert expected in problems(RIGHT, found)


@pytest.mark.parametrize("operation", [BET, PAYOUT, READ, TRANSFER], ids=lambda operation: operation.kind)
@pytest.mark.parametrize("status", [400, 402, 404, 409, 500])
def test_a_refusal_without_a_reason_is_found(operation: HistoryOperation, status: int) -> None:
    assert problems([Attempt(operation, 1, 2, status)], ledger(OPENING)) == [
        f"{operation.reference or operation.kind}: answered {status}"
    ]


def test_a_settlement_that_is_refused_after_its_bet_was_acknowledged_is_found() -> None:
    history = [Attempt(BET, 1, 2, 200), Attempt(PAYOUT, 3, 4, 404)]
    assert problems(history, ledger(OPENING, STAKE)) == [f"{PAID[0]}: answered 404"]


def test_a_call_that_was_busy_may_not_be_there() -> None:
    paid_in = HistoryOperation("deposit", "7", "cashier:acme:deposit:1", 500)
    busy = [Attempt(paid_in, 1, 2, 429)]
    assert problems(busy, ledger(OPENING)) == []
    assert problems(busy, ledger(OPENING, (paid_in.reference or "", 500))) == [
        "cashier:acme:deposit:1: refused, and there"
    ]
    assert problems([Attempt(BET, 1, 2, 429)], ledger(OPENING)) == [f"{STAKE[0]}: answered 429"]


def test_a_bet_that_must_be_refused_is_neither_taken_nor_acknowledged() -> None:
    refused = BET._replace(refusal=402)
    assert problems([Attempt(refused, 1, 2, 402)], ledger(OPENING)) == []
    assert f"{STAKE[0]}: refused, and there" in problems([Attempt(refused, 1, 2, 402)], ledger(OPENING, STAKE))
    assert f"{STAKE[0]}: answered 200" in problems([Attempt(refused, 1, 2, 200)], ledger(OPENING))
    taken = problems([Attempt(refused, 1, 2, None)], ledger(OPENING, STAKE))
    assert taken == [f"{STAKE[0]}: there, although it had to be refused"]


def test_an_operation_on_another_customers_wallet_is_found() -> None:
    assert problems([Attempt(BET, 1, 2, 200)], ledger(OPENING, STAKE, wallet=OTHER_WALLET)) == [
        f"{STAKE[0]}: changed {{'{OTHER_WALLET}': -1000}} instead of {{'{WALLET}': -1000}}"
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], f"{OPENING[0]}: not there"),
        ([(OPENING[0], 10_001)], f"{OPENING[0]}: [10001] instead of 10000"),
        ([OPENING, OPENING], f"{OPENING[0]}: done 2 times"),
        ([OPENING, ("customer:acme:9:opening", 1)], "customer:acme:9:opening: nobody asked for it"),
    ],
    ids=["lost", "changed", "doubled", "invented"],
)
def test_an_opening_balance_that_is_not_the_given_one_is_found(lines: list[tuple[str, int]], expected: str) -> None:
    assert expected in problems([], ledger(*lines))


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


def test_a_balance_that_was_wrong_at_an_earlier_version_is_found() -> None:
    right = ledger(OPENING, STAKE, PAID)
    lines = [line._replace(balance_after=-1) if line.version == 2 else line for line in right.lines]
    assert f"{WALLET}: balance -1 at version 2, entries sum to -9000" in problems(RIGHT, right._replace(lines=lines))


def test_a_read_may_not_miss_what_a_repeat_acknowledged_again() -> None:
    history = [Attempt(BET, 1, 2, 200), Attempt(READ, 3, 4, 200, 10_000), Attempt(BET, 5, 6, 200)]
    assert problems(history, ledger(OPENING, STAKE)) == ["read of 7: 10000 is none of [9000]"]


def test_a_settlement_that_pays_nothing_changes_no_balance() -> None:
    lost = PAYOUT._replace(amount=0)
    history = [Attempt(BET, 1, 2, 200), Attempt(lost, 3, 4, 200)]
    settled = StoredEntry(3, PAID[0], "house", 0, None, None)
    taken = ledger(OPENING, STAKE)
    assert problems(history, taken._replace(lines=[*taken.lines, settled])) == []
    assert problems(history, taken) == [f"{PAID[0]}: acknowledged, and not there"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ({"stake": -1000}, []),
        ({"stake": -1000, "settlement:1": 1000}, []),
        ({"stake": -1000, "cancel": 1000}, []),
        ({"stake": -1000, "settlement:1": 400}, [f"game:acme:wager:1: {OPEN} holds 600, and the bet is closed"]),
        ({"stake": -1000, "settlement:1": 1100}, [f"game:acme:wager:1: {OPEN} holds -100, and the bet is closed"]),
        ({"stake": 1000}, [f"game:acme:wager:1: {OPEN} holds -1000, and the bet is open"]),
        ({"stake": 0}, [f"game:acme:wager:1: {OPEN} holds 0, and the bet is open"]),
    ],
)
def test_open_stakes_that_a_closed_bet_leaves_are_found(steps: dict[str, int], expected: list[str]) -> None:
    lines = [
        StoredEntry(number, f"game:acme:wager:1:{step}", OPEN, amount, None, None)
        for number, (step, amount) in enumerate(steps.items(), start=1)
    ]
    found = checker.problems([], StoredLedger(lines, {}, {}), {})
    assert [problem for problem in found if " holds " in problem] == expected


@pytest.mark.parametrize(
    ("status", "done", "is_right"),
    [
        (200, 1, True),
        (200, 0, False),
        (200, 2, False),
        (None, 1, True),
        (None, 2, False),
        (429, 0, True),
        (429, 1, False),
    ],
)
def test_transfers_are_counted(status: int | None, done: int, is_right: bool) -> None:
    assert (problems([Attempt(TRANSFER, 1, 2, status)], transferred(done)) == []) is is_right


def transferred(count: int, *, amount: int = -1, other: str = SAVINGS) -> StoredLedger:
    return ledger(OPENING, *[(f"cashier:acme:transfer:{number}", amount) for number in range(count)], other=other)


def test_a_transfer_of_another_amount_or_to_another_customer_is_found() -> None:
    history = [Attempt(TRANSFER, 1, 2, 200)]
    assert problems(history, transferred(1, amount=-2)) == ["cashier:acme:transfer:0: of -2"]
    other = "players:2:AUSTRALIAN"
    assert problems(history, transferred(1, other=other)) == [f"a transfer between {WALLET} and {other}"]


def test_a_read_sees_the_transfers_that_were_acknowledged_before_it() -> None:
    for balance, expected in ((9999, []), (10_000, ["read of 7: 10000 is none of [9999]"])):
        history = [Attempt(TRANSFER, 1, 2, 200), Attempt(READ, 3, 4, 200, balance)]
        assert problems(history, transferred(1)) == expected


def test_a_read_does_not_see_transfers_that_began_after_it() -> None:
    history = [Attempt(READ, 1, 2, 200, 9999), Attempt(TRANSFER, 3, 4, 200)]
    assert problems(history, transferred(1)) == ["read of 7: 9999 is none of [10000]"]
