"""Run cases against a target, and compare answers, balances, limits and ledger invariants with what is expected."""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from typing import Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import clock
from wallet_hooks.errors import WalletHooksError
from wallet_hooks.money import MoneyError
from wallet_hooks.replay.betslips import without_details
from wallet_hooks.replay.bodies import encode_body, reject_constant
from wallet_hooks.replay.case_database import CaseDatabase, DatabaseFactory, SigningKey
from wallet_hooks.replay.fixture import Case, CaseSequence, find_bets, headers_of, read_instant
from wallet_hooks.replay.groups import independent_groups, interleave_groups
from wallet_hooks.replay.preconditions import BRAND
from wallet_hooks.replay.signing import signature_headers
from wallet_hooks.replay.targets import InProcess, Target, TargetRequest, TargetResponse

# Answers that a repetition may change: the bet was not known yet (404), or the work was not known to be done (503).
_NOT_FINAL = (404, 503)
_UNSIGNED = SigningKey("none", "")
_SECOND_PASS_CONCURRENCY = 16  # concurrent requests of the second pass; they share group commits
# Errors for values that the fixture schema accepts and the service does not.
_INVALID_GIVEN = (WalletHooksError, MoneyError, ValueError, OverflowError, LookupError, SQLAlchemyError)


class Mismatch(NamedTuple):
    """A difference between the expected and the actual value, both as JSON. `what` names what was compared."""

    what: str
    expected: Any
    actual: Any


@dataclass(slots=True)
class CaseResult:
    """The result of a case: the actual answer, balances and limits, and their differences from what was expected."""

    case: Case
    mismatches: list[Mismatch] = field(default_factory=list)
    actual: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.mismatches


class RunOptions(NamedTuple):
    """How cases are run. `speed` is a multiple of the recorded speed; None runs as fast as possible."""

    recorded_clock: bool = True
    speed: float | None = None
    parallel: int = 1
    duplicate: int = 1
    shuffle: int | None = None
    sign: SigningKey | None = None
    second_pass: bool = True


class CaseRunner:
    """Runs the cases of one sequence against a target. Without access to its database (None), compares only answers."""

    def __init__(self, target: Target, database: CaseDatabase | None, options: RunOptions) -> None:
        self._target = target
        self._database = database
        self._options = options
        self._sent: list[TargetRequest] = []

    def run(self, sequence: CaseSequence) -> Iterator[CaseResult]:
        """Yield a result per case. Mismatches of the second pass and of ledger invariants are added to the last."""
        last: CaseResult | None = None
        failures = self._prepare(sequence)
        for result in self._run_all(sequence.cases):
            result.mismatches = failures + result.mismatches
            failures = []
            if last is not None:
                yield last
            last = result
        if last is not None:
            if self._database is not None:
                last.mismatches += self._check_ledger(self._database)
            yield last

    def _run_all(self, cases: Sequence[Case]) -> Iterator[CaseResult]:
        if self._options.parallel == 1:
            yield from map(self._run_case, self._paced(interleave_groups(cases, self._options.shuffle)))
            return
        ended = threading.Event()
        results: SimpleQueue[CaseResult | Future[None]] = SimpleQueue()

        def run_group(group: Sequence[Case]) -> None:
            for case in group:
                if ended.is_set():
                    return
                results.put(self._run_case(case))

        with ThreadPoolExecutor(self._options.parallel) as pool:
            running = [pool.submit(run_group, group) for group in independent_groups(cases)]
            for one in running:
                one.add_done_callback(results.put)
            try:
                yield from _results_until(results, len(running))
            finally:
                ended.set()
                pool.shutdown(cancel_futures=True)

    def _paced(self, cases: Iterable[Case]) -> Iterator[Case]:
        """Yield each case when it is due at the chosen speed."""
        started, first = clock.monotonic(), None
        for case in cases:
            if self._options.speed is not None and case.at is not None:
                first = first or case.at
                due = (case.at - first).total_seconds() / self._options.speed
                time.sleep(max(0.0, due - (clock.monotonic() - started)))
            yield case

    def _run_case(self, case: Case) -> CaseResult:
        result = CaseResult(case)
        started = clock.monotonic()
        try:
            if self._database is not None and (betslips := case.given.get("betslips")):
                self._database.store_betslips(betslips, now=case.at or clock.wall_clock())
            self._send_given_requests(case, result)
            self._send_request(case, result)
            if self._database is not None:
                self._compare_state(case, result, self._database)
        except _INVALID_GIVEN as error:
            result.mismatches.append(Mismatch("given", "valid preconditions", str(error).partition("\n")[0]))
        result.seconds = clock.monotonic() - started
        return result

    def _prepare(self, sequence: CaseSequence) -> list[Mismatch]:
        """Load the preconditions of all cases but betslip messages and requests, whose order among the cases matters.

        Return what failed, to be reported with the first case.
        """
        if self._database is None:
            return []
        names = ("brands", "customers", "limits", "rates", "countries")
        given = {name: _without_duplicates(sequence.given_of(name)) for name in names}
        try:
            self._database.prepare(given, now=sequence.first_instant() or clock.wall_clock())
        except _INVALID_GIVEN as error:
            return [Mismatch("given", "valid preconditions", str(error).partition("\n")[0])]
        return []

    def _send_given_requests(self, case: Case, result: CaseResult) -> None:
        """Send the requests among the preconditions, and compare their statuses."""
        for number, request in enumerate(case.given.get("requests", [])):
            response = self._send(request, read_instant(request.get("at")) or case.at)
            expected = request.get("status", 200)
            if response.status != expected:
                actual = {"status": response.status, "body": _parse_body(response)}
                result.mismatches.append(Mismatch(f"given.requests[{number}].status", expected, actual))

    def _send_request(self, case: Case, result: CaseResult) -> None:
        expect = case.expect
        for number in range(1, self._options.duplicate + 1):
            response = self._send(case.request, case.at)
            body = without_details(_parse_body(response), expect.get("body"))
            actual = {"status": response.status, "body": body}
            if number == 1:
                result.actual = actual
            suffix = f" (time {number})" if number > 1 else ""
            for what in ("status", "body"):
                if expect.get(what) is not None and expect[what] != actual[what]:
                    result.mismatches.append(Mismatch(f"{what}{suffix}", expect[what], actual[what]))

    def _compare_state(self, case: Case, result: CaseResult, database: CaseDatabase) -> None:
        now = case.at if self._options.recorded_clock and case.at else clock.wall_clock()
        for what, read in (
            ("balances", database.balances),
            ("limits", lambda keys: database.amounts_left(keys, now=now)),
        ):
            if what in case.expect:
                result.actual[what] = found = read(case.expect[what])
                if found != case.expect[what]:
                    result.mismatches.append(Mismatch(what, case.expect[what], found))

    def _check_ledger(self, database: CaseDatabase) -> list[Mismatch]:
        """Check the ledger invariants, and that sending all requests a second time changes nothing."""
        mismatches = [Mismatch("ledger invariants", "hold", violation) for violation in database.ledger_violations()]
        if self._options.second_pass:
            before = database.state()
            self._repeat_requests()
            if database.state() != before:
                mismatches.append(Mismatch("second pass", "changes nothing", "the ledger has changed"))
        return mismatches

    def _repeat_requests(self) -> None:
        """Send all requests again, concurrently, at the time of the last: order and time must not matter."""
        last = max((sent.at for sent in self._sent if sent.at), default=None)
        again = [sent._replace(at=sent.at and last) for sent in self._sent]
        with ThreadPoolExecutor(_SECOND_PASS_CONCURRENCY) as pool:
            for _ in pool.map(self._target.send, again):
                pass

    def _send(self, request: Mapping[str, Any], at: datetime | None) -> TargetResponse:
        sent = self._build_request(request, at if self._options.recorded_clock else None)
        response = self._target.send(sent)
        if response.status not in _NOT_FINAL:
            self._sent.append(sent)
        return response

    def _build_request(self, request: Mapping[str, Any], at: datetime | None) -> TargetRequest:
        body = encode_body(request)
        headers = headers_of(request, self._sign(request, body, at))
        return TargetRequest(request.get("method", "POST"), request["path"], headers, body, request.get("from"), at)

    def _sign(self, request: Mapping[str, Any], body: bytes, at: datetime | None) -> dict[str, str]:
        sign = request.get("sign", True)
        if sign is False:
            return {}
        overrides = sign if isinstance(sign, dict) else {}
        first = next(iter(find_bets(request)), {"brand": BRAND, "game": "betflex"})
        brand, game = (overrides.get(name, first[name]) for name in ("brand", "game"))
        keys = {} if self._database is None else self._database.signing_keys
        auth, secret = self._options.sign or keys.get((brand, game), _UNSIGNED)
        wall = clock.wall_clock()
        return signature_headers(auth, secret, client=brand, body=body, sign=overrides, at=at or wall, wall=wall)


def run_sequences(
    sequences: Iterable[CaseSequence],
    new_database: DatabaseFactory,
    options: RunOptions,
    *,
    remote: Target | None = None,
) -> Iterator[CaseResult]:
    """Yield the results of sequences, each run on its own case database, in this process or against a remote target."""
    with clock.restored_wall_clock():
        for sequence in _in_order(sequences, options):
            with new_database() as database:
                target = remote or InProcess(database.engine, database.callbacks, database.settings, database.countries)
                yield from CaseRunner(target, database, options).run(sequence)


def run_without_database(
    sequences: Iterable[CaseSequence], options: RunOptions, remote: Target
) -> Iterator[CaseResult]:
    """Run against a target whose database is not accessible. Preconditions are assumed to exist there."""
    for sequence in _in_order(sequences, options):
        yield from CaseRunner(remote, None, options).run(sequence)


def _in_order(sequences: Iterable[CaseSequence], options: RunOptions) -> list[CaseSequence]:
    order = list(sequences)
    if options.shuffle is not None:
        random.Random(options.shuffle).shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def _results_until(results: "SimpleQueue[CaseResult | Future[None]]", groups: int) -> Iterator[CaseResult]:
    """Yield results until so many groups have ended; each adds its future then. Raises the error of the first to fail.

    What other groups have done by then is yielded before.
    """
    error: BaseException | None = None
    while groups > 0 or not results.empty():
        found = results.get()
        if isinstance(found, CaseResult):
            yield found
            continue
        error = error or found.exception()
        groups = 0 if error else groups - 1
    if error:
        raise error


def _without_duplicates(items: Iterable[Any]) -> list[Any]:
    """Remove duplicates: lines of a capture may repeat a brand."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def _parse_body(response: TargetResponse) -> Any:
    """Return an answer's JSON; its text if it has none, or one that a report could not hold."""
    try:
        document = json.loads(response.text, parse_constant=reject_constant)
        json.dumps(document, ensure_ascii=False).encode()  # fails for a lone surrogate
    except (ValueError, RecursionError):
        return response.text
    return document
