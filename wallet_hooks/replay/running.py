"""Playing cases, and comparing what came of them with what was expected."""

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import clock
from wallet_hooks.errors import WalletHooksError
from wallet_hooks.money import MoneyError
from wallet_hooks.replay import fixture
from wallet_hooks.replay.fixture import Case, bets_of, body_of
from wallet_hooks.replay.signing import signature
from wallet_hooks.replay.stage import BRAND, SigningKey, Stage, Stages
from wallet_hooks.replay.targets import Answered, InProcess, Sent, Target

# What may rightly be answered otherwise when it comes again: nothing was known then, or nothing was done.
_NOT_FINAL = (404, 503)
_UNPROVEN = SigningKey("none", "")
_AT_ONCE = 16  # of what is sent again; it shares commits
# What a value in a fixture may come to that its schema takes and the service does not.
_CANNOT_BE = (WalletHooksError, MoneyError, ValueError, OverflowError, LookupError, SQLAlchemyError)


class Mismatch(NamedTuple):
    """What of a case is not as expected, both sides as JSON would have it."""

    what: str
    expected: Any
    actual: Any


@dataclass(slots=True)
class Played:
    """A case that was played: what was answered, what came of it, and where it differs from what was expected."""

    case: Case
    mismatches: list[Mismatch] = field(default_factory=list)
    actual: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.mismatches


class RunOptions(NamedTuple):
    """How cases are played. `speed` is how many recorded seconds a second has, None for as fast as it goes."""

    recorded_clock: bool = True
    speed: float | None = None
    parallel: int = 1
    duplicate: int = 1
    shuffle: int | None = None
    sign: SigningKey | None = None
    second_pass: bool = True


class CaseRunner:
    """Plays the cases of one sequence on a stage (None where the database cannot be looked at), against a target."""

    def __init__(self, target: Target, stage: Stage | None, options: RunOptions) -> None:
        self._target = target
        self._stage = stage
        self._options = options
        self._sent: list[Sent] = []

    def play(self, cases: Sequence[Case]) -> Iterator[Played]:
        """The cases as they were played; what a second pass or the ledger's rules say goes with the last one."""
        last: Played | None = None
        unprepared = self._prepare(cases)
        for played in self._play_all(cases):
            played.mismatches = unprepared + played.mismatches
            unprepared = []
            if last is not None:
                yield last
            last = played
        if last is not None:
            if self._stage is not None:
                last.mismatches += self._check_ledger(self._stage)
            yield last

    def _play_all(self, cases: Sequence[Case]) -> Iterator[Played]:
        if self._options.parallel == 1:
            yield from map(self._play, self._paced(interleaved(cases, self._options.shuffle)))
            return
        with ThreadPoolExecutor(self._options.parallel) as pool:
            for of_strand in pool.map(lambda strand: [self._play(case) for case in strand], strands(cases)):
                yield from of_strand

    def _paced(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The cases, each when it is due at the speed that was asked for."""
        started, first = clock.monotonic(), None
        for case in cases:
            if self._options.speed is not None and case.at is not None:
                first = first or case.at
                due = (case.at - first).total_seconds() / self._options.speed
                time.sleep(max(0.0, due - (clock.monotonic() - started)))
            yield case

    def _play(self, case: Case) -> Played:
        played = Played(case)
        started = clock.monotonic()
        try:
            self._come_before(case, played)
            self._ask(case, played)
            if self._stage is not None:
                self._look(case, played, self._stage)
        except _CANNOT_BE as error:
            played.mismatches.append(Mismatch("given", "what can be given", str(error).partition("\n")[0]))
        played.seconds = clock.monotonic() - started
        return played

    def _prepare(self, cases: Sequence[Case]) -> list[Mismatch]:
        """Put on the stage what any of the cases has given; what cannot be is told with the first."""
        if self._stage is None:
            return []
        instants = [at for case in cases for at in (case.at, *map(_at, case.given.get("requests", ()))) if at]
        given = {
            name: _once(one for case in cases for one in case.given.get(name, ()))
            for name in ("brands", "customers", "limits", "rates", "countries")
        }
        try:
            self._stage.prepare(given, now=min(instants, default=clock.wall_clock()))
        except _CANNOT_BE as error:
            return [Mismatch("given", "what can be given", str(error).partition("\n")[0])]
        return []

    def _come_before(self, case: Case, played: Played) -> None:
        """Send what came before, and hold it to the status that it was answered."""
        before = case.given.get("requests", [])
        for number, request in enumerate(before):
            answered = self._send(request, _at(request) or case.at)
            expected = request.get("status", 200)
            if answered.status != expected:
                actual = {"status": answered.status, "body": _body(answered)}
                played.mismatches.append(Mismatch(f"given.requests[{number}].status", expected, actual))

    def _ask(self, case: Case, played: Played) -> None:
        expect = case.expect
        for number in range(1, self._options.duplicate + 1):
            answered = self._send(case.request, case.at)
            actual = {"status": answered.status, "body": _body(answered)}
            if number == 1:
                played.actual = actual
            time_ = f" (time {number})" if number > 1 else ""
            for what in ("status", "body"):
                if expect.get(what) is not None and expect[what] != actual[what]:
                    played.mismatches.append(Mismatch(f"{what}{time_}", expect[what], actual[what]))

    def _look(self, case: Case, played: Played, stage: Stage) -> None:
        now = case.at if self._options.recorded_clock and case.at else clock.wall_clock()
        for what, look in (
            ("balances", stage.balances),
            ("limits", lambda keys: stage.limits_left(keys, now=now)),
        ):
            if what in case.expect:
                played.actual[what] = found = look(case.expect[what])
                if found != case.expect[what]:
                    played.mismatches.append(Mismatch(what, case.expect[what], found))

    def _check_ledger(self, stage: Stage) -> list[Mismatch]:
        """The ledger's rules, and that all that came, coming again, changes nothing."""
        mismatches = [Mismatch("the ledger's rules", "hold", rule) for rule in stage.broken_rules()]
        if self._options.second_pass:
            before = stage.state()
            self._send_again()
            if stage.state() != before:
                mismatches.append(Mismatch("a second pass", "changes nothing", "the ledger has changed"))
        return mismatches

    def _send_again(self) -> None:
        """All at once, and at the time of the last: what is known has its answer, whenever and in whatever order."""
        last = max((sent.at for sent in self._sent if sent.at), default=None)
        again = [sent._replace(at=sent.at and last) for sent in self._sent]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._target.send, again):
                pass

    def _send(self, request: Mapping[str, Any], at: datetime | None) -> Answered:
        sent = self._made(request, at if self._options.recorded_clock else None)
        answered = self._target.send(sent)
        if answered.status not in _NOT_FINAL:
            self._sent.append(sent)
        return answered

    def _made(self, request: Mapping[str, Any], at: datetime | None) -> Sent:
        body = body_of(request)
        headers: dict[str, str | None] = {"Content-Type": "application/json"}
        headers |= self._proof(request, body, at)
        headers |= request.get("headers") or {}
        return Sent(request.get("method", "POST"), request["path"], headers, body, request.get("from"), at)

    def _proof(self, request: Mapping[str, Any], body: bytes, at: datetime | None) -> dict[str, str]:
        sign = request.get("sign", True)
        if sign is False:
            return {}
        first = next(iter(bets_of(request)), {"brand": BRAND, "game": "betflex"})
        proofs = {} if self._stage is None else self._stage.proofs
        auth, secret = self._options.sign or proofs.get((first["brand"], first["game"]), _UNPROVEN)
        wall = clock.wall_clock()
        wanted = sign if isinstance(sign, dict) else {}
        return signature(auth, secret, client=first["brand"], body=body, sign=wanted, at=at or wall, wall=wall)


def play_all(
    sequences: Iterable[fixture.Sequence], stages: Stages, options: RunOptions, *, remote: Target | None = None
) -> Iterator[Played]:
    """Play sequences, each on a stage of its own, in this process or against a remote target."""
    found = list(sequences)
    if options.shuffle is not None:
        random.Random(options.shuffle).shuffle(found)  # noqa: S311 - an order, not a secret
    with clock.restored_wall_clock():
        for sequence in found:
            with stages() as stage:
                target = InProcess(stage.callbacks, stage.settings, stage.countries) if remote is None else remote
                yield from CaseRunner(target, stage, options).play(sequence.cases)


def play_blindly(sequences: Iterable[fixture.Sequence], options: RunOptions, remote: Target) -> Iterator[Played]:
    """Play against a target whose database nobody can look at: what is given is taken to be there."""
    for sequence in sequences:
        yield from CaseRunner(remote, None, options).play(sequence.cases)


def strands(cases: Iterable[Case]) -> list[list[Case]]:
    """The cases in groups that have no customer and no bet in common, each in its own order.

    What is in different groups may come in any order, or at once.
    """
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while (higher := above.setdefault(name, name)) != name:
            above[name] = name = above[higher]
        return name

    named = [(case, sorted(_names(case)) or [case.where]) for case in cases]
    for _, names in named:
        for name in names[1:]:
            above[top(name)] = top(names[0])
    groups: dict[str, list[Case]] = {}
    for case, names in named:
        groups.setdefault(top(names[0]), []).append(case)
    return list(groups.values())


def _names(case: Case) -> set[str]:
    requests = [case.request, *case.given.get("requests", ())]
    bets = [bet for request in requests for bet in bets_of(request)]
    return {f"user {bet['brand']} {bet['user']}" for bet in bets} | {
        f"bet {bet['game']} {bet['brand']} {bet['bet']}" for bet in bets
    }


def interleaved(cases: Sequence[Case], seed: int | None) -> Sequence[Case]:
    """The cases as they are, or their strands mixed at random."""
    if seed is None or len(cases) == 1:
        return cases
    dice = random.Random(seed)  # noqa: S311 - an order, not a secret
    groups = strands(cases)
    order = [number for number, group in enumerate(groups) for _ in group]
    dice.shuffle(order)
    iterators = [iter(group) for group in groups]
    return [next(iterators[number]) for number in order]


def _once(items: Iterable[Any]) -> list[Any]:
    """Without repetitions: each line of a capture may give its brand again."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def _at(request: Mapping[str, Any]) -> datetime | None:
    return fixture.read_instant(request.get("at"))


def _body(answered: Answered) -> Any:
    try:
        return json.loads(answered.text)
    except ValueError:
        return answered.text
