"""Decides whether the answers that clients got are ones that the ledger's history allows.

It shares no code with the service, and trusts nothing but the entries.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import attrgetter

from tests.faults.history.ledger import StoredEntry, StoredLedger
from tests.faults.history.operations import Attempt, HistoryOperation

_TRANSFER = "cashier:acme:transfer:"  # begins the references of transfers, which get them from the service


def problems(history: Sequence[Attempt], ledger: StoredLedger, openings: Mapping[str, int]) -> list[str]:
    """Return what contradicts the history, one line each.

    `openings` are the amounts, by reference, that customers were created with.
    """
    return [
        *_unexpected_answers(history),
        *_wrong_outcomes(history, ledger, openings),
        *_wrong_transfers(history, ledger),
        *_wrong_open_stakes(ledger),
        *_wrong_sums(ledger),
        *_wrong_balances(ledger),
        *_stale_reads(history, ledger),
    ]


def _unexpected_answers(history: Sequence[Attempt]) -> Iterator[str]:
    for attempt in history:
        if not (attempt.is_acknowledged or attempt.is_refused or attempt.is_unknown):
            yield f"{_name(attempt.operation)}: answered {attempt.status}"


def _wrong_outcomes(history: Sequence[Attempt], ledger: StoredLedger, openings: Mapping[str, int]) -> Iterator[str]:
    """Acknowledged operations are there once, refused ones are not, others once or not at all, and nothing else is."""
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in history:
        if attempt.operation.reference is not None:
            attempts[attempt.operation.reference].append(attempt)
    done = _changes(ledger)
    for reference, changes in done.items():
        if reference in openings:
            amounts = [sum(change.values()) for change in changes]
            if amounts != [openings[reference]]:
                yield f"{reference}: {amounts} instead of {openings[reference]}"
        elif reference not in attempts and not reference.startswith(_TRANSFER):
            yield f"{reference}: nobody asked for it"
        if len(changes) > 1:
            yield f"{reference}: done {len(changes)} times"
    for reference in openings.keys() - done.keys():
        yield f"{reference}: not there"
    for reference, tried in attempts.items():
        yield from _wrong_outcome(tried, done.get(reference, []), ledger)


def _changes(ledger: StoredLedger) -> Mapping[str, list[dict[str, int]]]:
    """Return what each transaction changes wallets by, by its reference."""
    wallets = set(ledger.wallets.values())
    found: dict[str, list[dict[str, int]]] = defaultdict(list)
    for (_, reference), lines in groupby(ledger.lines, key=lambda line: (line.transaction, line.reference)):
        found[reference].append({line.account: -line.amount for line in lines if line.account in wallets})
    return found


def _wrong_outcome(
    tried: Sequence[Attempt], changes: Sequence[Mapping[str, int]], ledger: StoredLedger
) -> Iterator[str]:
    """Compare the attempts of one operation with the changes of the customer's balance that it made."""
    operation = tried[0].operation
    if any(one.is_acknowledged for one in tried):
        if not changes:
            yield f"{_name(operation)}: acknowledged, and not there"
    elif changes and not any(one.is_unknown for one in tried):
        yield f"{_name(operation)}: refused, and there"
    expected = {ledger.wallets[operation.customer]: operation.amount}
    # A settlement that pays nothing changes no balance.
    if changes and changes[0] != expected and (changes[0] or operation.amount):
        yield f"{_name(operation)}: changed {dict(changes[0])} instead of {expected}"
    if changes and operation.refusal is not None:
        yield f"{_name(operation)}: there, although it had to be refused"


def _wrong_transfers(history: Sequence[Attempt], ledger: StoredLedger) -> Iterator[str]:
    """Each transfer that was acknowledged is there, and no more than were asked for and not refused.

    Each moves what was asked for between the customer's wallets.
    """
    for customer, wallet in ledger.wallets.items():
        mine = [one for one in history if one.operation.kind == "transfer" and one.operation.customer == customer]
        done = [line for line in ledger.lines if line.account == wallet and line.reference.startswith(_TRANSFER)]
        least = sum(one.is_acknowledged for one in mine)
        most = least + sum(one.is_unknown for one in mine)
        if not least <= len(done) <= most:
            yield f"transfers of {customer}: {len(done)}, and {least} to {most} were asked for"
        amounts = {one.operation.amount for one in mine}
        yield from (f"{line.reference}: of {-line.amount}" for line in done if -line.amount not in amounts)
    transfers = [line for line in ledger.lines if line.reference.startswith(_TRANSFER)]
    for _, lines in groupby(transfers, key=attrgetter("transaction")):
        accounts = {line.account for line in lines}
        if len({account.rpartition(":")[0] for account in accounts}) > 1:
            yield f"a transfer between {' and '.join(sorted(accounts))}"


def _wrong_open_stakes(ledger: StoredLedger) -> Iterator[str]:
    """A settlement or a cancel takes all of its bet's stake from the customer's open stakes, once."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    for line in ledger.lines:
        bet, _, step = line.reference.partition(":wager:")
        if step and line.account.endswith(":open_stakes"):
            held[f"{bet}:wager:{step.split(':')[0]}", line.account] += line.amount
    closed = {
        line.reference.rpartition(":cancel")[0] or line.reference.rpartition(":settlement:")[0]
        for line in ledger.lines
        if ":wager:" in line.reference and not line.reference.endswith(":stake")
    }
    for (bet, account), amount in held.items():
        if amount > 0 or (amount < 0) is (bet in closed):
            yield f"{bet}: {account} holds {-amount}, and the bet is {'closed' if bet in closed else 'open'}"


def _wrong_sums(ledger: StoredLedger) -> Iterator[str]:
    """Debits equal credits in each transaction, so that money comes from outside or from somebody."""
    for transaction, lines in groupby(ledger.lines, key=attrgetter("transaction")):
        if total := sum(line.amount for line in lines):
            yield f"transaction {transaction}: debits and credits differ by {total}"


def _wrong_balances(ledger: StoredLedger) -> Iterator[str]:
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


def _held_lines(ledger: StoredLedger) -> Mapping[str, list[StoredEntry]]:
    """Return the entries of customers' accounts by account, ordered by version."""
    held: dict[str, list[StoredEntry]] = defaultdict(list)
    for line in ledger.lines:
        if line.version is not None:
            held[line.account].append(line)
    for lines in held.values():
        lines.sort(key=lambda line: line.version or 0)
    return held


def _stale_reads(history: Sequence[Attempt], ledger: StoredLedger) -> Iterator[str]:
    """A balance that was read is one between two versions.

    The first has what was acknowledged before the read began; the last has nothing that was begun after it had ended.
    """
    held = _held_lines(ledger)
    asked: dict[str, list[Attempt]] = defaultdict(list)  # for transfers, by customer
    acknowledged: dict[str, float] = {}
    began: dict[str, float] = {}
    for attempt in history:
        reference = attempt.operation.reference
        if attempt.operation.kind == "transfer":
            asked[attempt.operation.customer].append(attempt)
        if reference is not None:
            began[reference] = min(attempt.began, began.get(reference, attempt.began))
            if attempt.is_acknowledged:
                acknowledged[reference] = min(attempt.ended, acknowledged.get(reference, attempt.ended))
    for read in history:
        if read.balance is None:
            continue
        lines = held.get(ledger.wallets[read.operation.customer], [])
        known = [number for number, line in enumerate(lines, 1) if acknowledged.get(line.reference, inf) < read.began]
        later = [number for number, line in enumerate(lines, 1) if began.get(line.reference, 0) > read.ended]
        least, most = _transfers_seen(read, asked[read.operation.customer])
        transfers = [number for number, line in enumerate(lines, 1) if line.reference.startswith(_TRANSFER)]
        first = max([1, *known, *transfers[:least][-1:]])  # the opening balance was there before
        last = min([len(lines) + 1, *later, *transfers[most : most + 1]]) - 1
        possible = {-(line.balance_after or 0) for line in lines[first - 1 : last]}
        if read.balance not in possible:
            yield f"{_name(read.operation)} of {read.operation.customer}: {read.balance} is none of {sorted(possible)}"


def _transfers_seen(read: Attempt, asked: Sequence[Attempt]) -> tuple[int, int]:
    """Return how many of the customer's transfers a read must see, and how many it may see."""
    least = sum(one.is_acknowledged and one.ended < read.began for one in asked)
    return least, sum(not one.is_refused and one.began <= read.ended for one in asked)


def _name(operation: HistoryOperation) -> str:
    return operation.reference or operation.kind
