"""Replays one stored callback in a process of its own, because a replay sets the clock of its process."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks.console.delivery_search import SEARCHED_BETS, keys_of_customer
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.deliveries.models import Delivery, DeliveryBet
from wallet_hooks.deliveries.queries import decision_order
from wallet_hooks.errors import NotFoundError, RefusedError, TryAgainError
from wallet_hooks.replay.bodies import body_member
from wallet_hooks.replay.fixture import find_bets, write_cases
from wallet_hooks.replay.recording import CaptureFilter, Recorder
from wallet_hooks.replay.reports import difference
from wallet_hooks.replay.running import Mismatch
from wallet_hooks.web.concurrency import ConcurrencyLimit
from wallet_hooks.web.countries import Countries

_TIMEOUT = 60  # seconds
_EARLIER = 500
# Refusals that depend on the customer's other bets.
_LIMIT_CODES = ("bet_limit_exceeded", "loss_limit_exceeded", "event_stake_exceeded", "session_time_exceeded")
_COMMAND = (sys.executable, "-c", "from wallet_hooks.cli import main; main()", "replay", "run")
_limit = ConcurrencyLimit("replays", running=1, admitted=3)


class AnswerDifference(NamedTuple):
    """What differs, and the lines of the difference: `-` is what was answered, `+` what would be answered now."""

    what: str
    lines: Sequence[str]


class Replayed(NamedTuple):
    """The result of a replay: the answer now, and its differences from the stored one."""

    status: int | None
    body: str
    differences: Sequence[AnswerDifference]


class RecordedCase(NamedTuple):
    """A callback as a case. It is not complete if more earlier bets than are in it may have decided the answer."""

    document: dict[str, Any]
    is_complete: bool


def case_of(session: Session, delivery: Delivery, countries: Countries) -> RecordedCase:
    """Return a callback as a case, with its preconditions.

    Earlier callbacks about the same bets are among them, and where a limit refused it, those about the customers'
    newest bets. Raises RefusedError (`not_replayable`) for one that cannot be sent again, such as one without a stored
    credential.
    """
    earlier = _earlier_about(session, delivery, _bets_of(session, delivery))
    lines = _record(session, delivery, earlier, countries)
    is_complete = True
    if lines[-1]["expect"]["body"].get("error") in _LIMIT_CODES:
        keys = _bets_of_customers(session, delivery)
        others = _earlier_about(session, delivery, keys)
        is_complete = len(keys) < SEARCHED_BETS and len(others) < _EARLIER
        lines = _record(session, delivery, sorted({*earlier, *others}), countries)
    case: dict[str, Any] = lines[-1]
    given: dict[str, list[Any]] = {}
    for line in lines:
        for name, items in line.get("given", {}).items():
            given.setdefault(name, []).extend(items)
    if len(lines) > 1:
        given["requests"] = [
            line["request"] | {"at": line["at"], "status": line["expect"]["status"]} for line in lines[:-1]
        ]
    return RecordedCase(case | {"given": given}, is_complete)


def _record(session: Session, delivery: Delivery, earlier: Sequence[UUID], countries: Countries) -> list[Any]:
    """Return the lines of a capture that ends with the delivery. Raises RefusedError (`not_replayable`)."""
    lines = list(Recorder(session, CaptureFilter(ids=[*earlier, delivery.id]), countries).lines())
    if not lines or lines[-1]["name"] != str(delivery.id):
        raise RefusedError(
            "not_replayable",
            "This callback cannot be replayed: the role or address that it lacked is not stored, or an earlier callback"
            " about its bets was deleted after its retention.",
        )
    return lines


def replay(case: dict[str, Any]) -> Replayed:
    """Run a case on a temporary database, with the clock set to its time.

    Raises TryAgainError if several run already, or it takes longer than a minute.
    """
    with _limit.slot(), tempfile.TemporaryDirectory(prefix="wallet-hooks-console-") as directory:
        path, report = Path(directory) / "case.json", Path(directory) / "report.json"
        write_cases(path, [case])
        # Its own empty database, so that a mistake here cannot reach the real one.
        own = {"WALLET_HOOKS_DATABASE_URL": f"sqlite:///{directory}/unused.db", "WALLET_HOOKS_BRAND_SCHEMAS": "off"}
        environment = os.environ | own
        try:
            ran = subprocess.run(  # noqa: S603 - our own command
                [*_COMMAND, str(path), "--json", str(report)],
                env=environment, capture_output=True, timeout=_TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TryAgainError("the replay took longer than a minute") from None
        if not report.exists():
            raise RefusedError("not_replayable", ran.stderr.decode("utf-8", "replace").strip()[-500:] or "no report")
        (result,) = json.loads(report.read_text("utf-8"))["cases"]
    found = [Mismatch(one["what"], one["expected"], one["actual"]) for one in result["mismatches"]]
    actual = result["actual"]
    body = json.dumps(actual.get("body"), indent=2, ensure_ascii=False)
    return Replayed(actual.get("status"), body, [AnswerDifference(one.what, difference(one)) for one in found])


def _bets_of(session: Session, delivery: Delivery) -> list[str]:
    return list(session.scalars(select(DeliveryBet.bet).where(DeliveryBet.delivery_id == delivery.id)))


def _bets_of_customers(session: Session, delivery: Delivery) -> list[str]:
    """Return the keys of the newest bets of the customers that a callback names."""
    customers = {(bet["brand"], bet["user"]) for bet in find_bets(body_member(delivery.body))}
    keys = []
    for client, uid in sorted(customers):
        with suppress(NotFoundError):
            keys += keys_of_customer(session, *customer_by_uid(session, client=client, uid=uid))
    return keys


def _earlier_about(session: Session, delivery: Delivery, bets: Sequence[str]) -> list[UUID]:
    """Return the ids of the newest callbacks that were decided before one and name any of the bets."""
    order = decision_order(session)
    own = session.scalar(select(order).select_from(Delivery).where(Delivery.id == delivery.id))
    naming = select(DeliveryBet.delivery_id).where(DeliveryBet.bet.in_(bets))
    query = select(Delivery.id).where(Delivery.id.in_(naming), order < own)
    return list(session.scalars(query.order_by(order.desc()).limit(_EARLIER)))
