"""Groups of cases that do not depend on each other: they have no customer, bet or betslip in common."""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from wallet_hooks.errors import RefusedError
from wallet_hooks.replay.betslips import find_betslip_ids, read_given_messages
from wallet_hooks.replay.fixture import Case, CaseSequence, find_bets
from wallet_hooks.replay.preconditions import BRAND


def independent_groups(cases: Iterable[Case]) -> list[list[Case]]:
    """Split cases into groups that have no customer, bet or betslip in common, each in its original order.

    Different groups may run in any order, concurrently, or on databases of their own.
    """
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while (parent := parents.setdefault(name, name)) != name:
            parents[name] = name = parents[parent]
        return name

    named = [(case, sorted(_named_in(case)) or [case.where]) for case in cases]
    for _, names in named:
        for name in names[1:]:
            parents[root(name)] = root(names[0])
    groups: dict[str, list[Case]] = {}
    for case, names in named:
        groups.setdefault(root(names[0]), []).append(case)
    return list(groups.values())


def interleave_groups(cases: Sequence[Case], seed: int | None) -> Sequence[Case]:
    """Return the cases unchanged without a seed, else their independent groups interleaved at random."""
    if seed is None or len(cases) == 1:
        return cases
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    groups = independent_groups(cases)
    order = [number for number, group in enumerate(groups) for _ in group]
    rng.shuffle(order)
    iterators = [iter(group) for group in groups]
    return [next(iterators[number]) for number in order]


def split(sequence: CaseSequence, size: int) -> list[CaseSequence]:
    """Split a capture into parts of `size` cases or more, which may run on databases of their own.

    A part has the capture's beginning, and what all its cases need: brands, rates and countries.
    """
    parts: list[list[Case]] = [[]]
    for group in independent_groups(sequence.cases):
        if len(parts[-1]) >= size:
            parts.append([])
        parts[-1] += group
    shared = {name: sequence.given_of(name) for name in ("brands", "rates", "countries")}
    begins = sequence.first_instant()
    return [
        sequence._replace(cases=sorted(part, key=lambda case: case.line), given=shared, begins=begins) for part in parts
    ]


def _named_in(case: Case) -> set[str]:
    """Return the customers, bets and betslips that a case names. Messages name betslips without a brand."""
    return {*_named_in_requests(case), *_named_in_given(case), *_named_in_expect(case)}


def _named_in_requests(case: Case) -> Iterator[str]:
    for request in (case.request, *case.given.get("requests", ())):
        for bet in find_bets(request):
            yield _customer(bet["brand"], bet["user"])
            yield f"bet {bet['game']} {bet['brand']} {bet['bet']}"
        yield from map(_betslip, find_betslip_ids(request))


def _named_in_given(case: Case) -> Iterator[str]:
    for one in (*case.given.get("customers", ()), *case.given.get("limits", ())):
        yield _customer(one.get("brand", BRAND), one["uid"])
    for betslip in case.given.get("betslips", ()):
        with suppress(RefusedError):  # an invalid one fails when its case runs
            yield from (_betslip(message.betslip_id) for message in read_given_messages(betslip))


def _named_in_expect(case: Case) -> Iterator[str]:
    for member, parts in (("balances", 1), ("limits", 2)):
        for key in case.expect.get(member) or ():
            brand, _, uid = key.rsplit(":", parts)[0].rpartition("/")
            yield _customer(brand or BRAND, uid)


def _customer(brand: str, uid: str) -> str:
    return f"customer {brand} {uid}"


def _betslip(id_: str) -> str:
    return f"betslip {id_}"
