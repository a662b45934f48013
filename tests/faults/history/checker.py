"""Decides whether the answers that clients got are ones that the ledger's history allows.

It shares no code with the service, and trusts nothing but the entries.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import attrgetter

from tests.faults.history.ledger import Ledger, Line
from tests.faults.history.operations import Attempt, Operation

_OPENING = "customer:"  # begins the references of the balances that customers were created with
_TRANSFER = "cashier:acme:transfer:"  # and of transfers, which get them from the service


def problems(history: Sequence[Attempt], ledger: Ledger) -> list[str]:
    """Return what contradicts the history, one line each."""
    return [
        *_unexpected_answers(history),
        *_wrong_outcomes(history, ledger),
        *_wrong_transfers(history, ledger),
        *_wrong_sums(ledger),
        *_wrong_balances(ledger),
        *_stale_reads(history, ledger),
    ]


def _unexpected_answers(history: Sequence[Attempt]) -> Iterator[str]:
    for attempt in history:
        if not (attempt.is_acknowledged or attempt.is_refused or attempt.is_unknown):
            yield f"{_name(attempt.operation)}: answered {attempt.status}"


def _wrong_outcomes(history: Sequence[Attempt], ledger: Ledger) -> Iterator[str]:
    """Acknowledged operations are there once, refused ones are not, others once or not at all, and nothing else is."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in history:
        if attempt.operation.reference is not None:
            attempts[attempt.operation.reference].append(attempt)
    changes: dict[str, list[int]] = defaultdict(list)
    wallets = set(ledger.wallets.values())
    for (_, reference), lines in groupby(ledger.lines, key=lambda line: (line.transaction, line.reference)):
        changes[reference].append(-sum(line.amount for line in lines if line.account in wallets))
    for reference, made in changes.items():
        if reference not in attempts and not reference.startswith((_OPENING, _TRANSFER)):
            yield f"{reference}: nobody asked for it"
        if len(made) > 1:
            yield f"{reference}: done {len(made)} times"
    for reference, tried in attempts.items():
        yield from _wrong_outcome(tried, changes.get(reference, []))


def _wrong_outcome(tried: Sequence[Attempt], amounts: Sequence[int]) -> Iterator[str]:
    """Compare the attempts of one operation with the changes of the customer's balance that it made."""
    operation = tried[0].operation
    if any(one.is_acknowledged for one in tried):
        if not amounts:
            yield f"{_name(operation)}: acknowledged, and not there"
    elif amounts and not any(one.is_unknown for one in tried):
        yield f"{_name(operation)}: refused, and there"
    if amounts and amounts[0] != operation.amount:
        yield f"{_name(operation)}: changed the balance by {amounts[0]} instead of {operation.amount}"


def _wrong_transfers(history: Sequence[Attempt], ledger: Ledger) -> Iterator[str]:
    """Each transfer that was acknowledged is there, and no more than were asked for and not refused."""
    for customer, wallet in ledger.wallets.items():
        mine = [one for one in history if one.operation.kind == "transfer" and one.operation.customer == customer]
        done = sum(line.account == wallet and line.reference.startswith(_TRANSFER) for line in ledger.lines)
        least = sum(one.is_acknowledged for one in mine)
        most = least + sum(one.is_unknown for one in mine)
        if not least <= done <= most:
            yield f"transfers of {customer}: {done}, and {least} to {most} were asked for"


def _wrong_sums(ledger: Ledger) -> Iterator[str]:
    """Debits equal credits in each transaction, so that money comes from outside or from somebody."""
    for transaction, lines in groupby(ledger.lines, key=attrgetter("transaction")):
        if total := sum(line.amount for line in lines):
            yield f"transaction {transaction}: debits and credits differ by {total}"


def _wrong_balances(ledger: Ledger) -> Iterator[str]:
    """A balance is the sum of its entries at every version, and versions have no gaps."""
    held = _held_lines(ledger)
    for account, balance in ledger.balances.items():
        total = 0
        for expected, line in enumerate(held.get(account, []), start=1):
            total += line.amount
            if line.version != expected:
                yield f"{account}: version {line.version} instead of {expected}"
            if line.balance_after != total:
                yield f"{account}: balance {line.balance_after} at version {line.version}, entries sum to {total}"
        if total != balance:
            yield f"{account}: balance {balance}, entries sum to {total}"


def _held_lines(ledger: Ledger) -> Mapping[str, list[Line]]:
    """Return the entries of customers' accounts by account, ordered by version."""
    held: dict[str, list[Line]] = defaultdict(list)
    for line in ledger.lines:
        if line.version is not None:
            held[line.account].append(line)
    for lines in held.values():
        lines.sort(key=lambda line: line.version or 0)
    return held


def _stale_reads(history: Sequence[Attempt], ledger: Ledger) -> Iterator[str]:
    """A balance that was read is one between two versions.

    The first has what was acknowledged before the read began; the last has nothing that was begun after it had ended.
    """
    held = _held_lines(ledger)
    acknowledged: dict[str, float] = {}
    began: dict[str, float] = {}
    for attempt in history:
        reference = attempt.operation.reference
        if reference is not None:
            began[reference] = min(attempt.began, began.get(reference, attempt.began))
            if attempt.is_acknowledged:
                acknowledged[reference] = min(attempt.ended, acknowledged.get(reference, attempt.ended))
    for read in history:
        if read.balance is None:
            continue
        lines = held.get(ledger.wallets[read.operation.customer], [])
        known = [number for number, line in enumerate(lines, 1) if acknowledged.get(line.reference, inf) < read.began]
        first = max(known, default=1)  # the opening balance was there before
        later = [number for number, line in enumerate(lines, 1) if began.get(line.reference, 0) > read.ended]
        last = min(later, default=len(lines) + 1) - 1
        possible = {-(line.balance_after or 0) for line in lines[max(first - 1, 0) : last]}
        if read.balance not in possible:
            yield f"{_name(read.operation)} of {read.operation.customer}: {read.balance} is none of {sorted(possible)}"


def _name(operation: Operation) -> str:
    return operation.reference or operation.kind
