"""The page of a wager: its history as a timeline, and its resettlement."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.console.causes import causes_of
from wallet_hooks.console.models import ResettleRequest
from wallet_hooks.console.rendering import Html, redirect
from wallet_hooks.console.texts import number
from wallet_hooks.console.visits import Visit, address_of
from wallet_hooks.database import locked, reading, writing
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.deliveries.queries import deliveries_of
from wallet_hooks.errors import ForbiddenError, NotFoundError, RefusedError
from wallet_hooks.identity.directory import brand_facts, read_directory
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.ledger.queries import transactions_with
from wallet_hooks.sportsbook import corrections
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.sportsbook.queries import exceptions_of, wager_by_key, wager_facts
from wallet_hooks.sportsbook.settling import outcome_of
from wallet_hooks.web.api import Reply

_UNCHANGED = "The payout is the same as before: nothing was done."


class TimelineStep(NamedTuple):
    """A step of a wager's history: a callback, or a transaction that staff posted; with what it posted."""

    at: datetime
    delivery: Delivery | None
    transactions: list[dict[str, Any]]


def show(visit: Visit, client: str, game: str, uid: str) -> Html:
    """Show a wager: its facts, each step with its transaction and callback, exceptions and resettlements."""
    key = BetKey(game, client, uid)
    with reading(visit.engine) as session:
        wager = wager_by_key(session, key)
        values = {
            "wager": wager,
            "facts": wager_facts(wager),
            "steps": _steps(session, wager, key),
            "exceptions": exceptions_of(session, key),
            "requests": _requests(session, key),
            "needs_approval": _needs_approval(session, client),
        }
    return Html("wager.html", values)


def resettle(visit: Visit, client: str, game: str, uid: str) -> Reply:
    """Replace a wager's settlement, or ask for it where the brand's policy wants a second person."""
    key = BetKey(game, client, uid)
    payout, reason = visit.required("payout", most=40), visit.reason()
    result = visit.optional("result", most=100)
    settlement = number(shown, "settlement") if (shown := visit.form.get("settlement", "")) else None
    brands = read_directory(visit.engine).brands
    name = visit.member.username
    with writing(visit.engine) as session:
        wager = wager_by_key(session, key)
        corrections.check_settled(wager, settlement)
        currency = wager.currency or ""
        minor = money.parse_amount(payout, currency)
        facts = {"payout": money.format_amount(minor, currency), "result": result, "reason": reason}
        if _needs_approval(session, client):
            facts["payout_before"] = money.format_amount(wager.payout or 0, currency)
            _request(session, visit, wager, facts, outcome_of(minor, result, wager.stake))
            done = "resettlement_requested"
        else:
            before = corrections.resettle(
                session.connection(), key, payout=minor, result=result, reason=f"{reason} (resettled by {name})",
                brands=brands, read_clock=clock.now, settlement=settlement,
            )  # fmt: skip
            facts["payout_before"] = money.format_amount(_changed(before), currency)
            visit.record(session, "resettle", str(key), **facts, result_before=wager.result)
            done = "resettled"
    return redirect(_address(visit), done=done)


def decide(visit: Visit, client: str, game: str, uid: str) -> Reply:
    """Approve or reject a resettlement that another member of staff requested."""
    key = BetKey(game, client, uid)
    decision = visit.form.get("decision", "")
    if decision not in ("approved", "rejected"):
        raise RefusedError("bad_decision", "decision: approved or rejected is expected")
    brands = read_directory(visit.engine).brands
    now, name = visit.request.now, visit.member.username
    with writing(visit.engine) as session:
        request = _open_request(session, key, number(visit.form.get("request", ""), "request"))
        asked = request.requested_by
        if asked == name and decision == "approved":
            raise ForbiddenError("Whoever requested a resettlement cannot approve it.")
        request.decision, request.decided_by, request.decided_at = decision, name, now
        session.flush()
        if decision == "approved":
            minor = money.parse_amount(request.payout, wager_by_key(session, key).currency or "")
            reason = f"{request.reason} (requested by {asked}, approved by {name})"
            before = corrections.resettle(
                session.connection(), key, payout=minor, result=request.result, reason=reason, brands=brands,
                read_clock=clock.now, settlement=request.settlement,
            )  # fmt: skip
            _changed(before)
        facts = {name: getattr(request, name) for name in ("payout", "payout_before", "result", "reason")}
        visit.record(session, f"resettlement_{decision}", str(key), **facts, requested_by=asked)
    return redirect(_address(visit), done=f"resettlement_{decision}")


def _changed(payout_before: int | None) -> int:
    """Return the payout that was replaced. Raises RefusedError if none was."""
    if payout_before is None:
        raise RefusedError("unchanged", _UNCHANGED)
    return payout_before


def open_requests(session: Session) -> list[ResettleRequest]:
    """Return the resettlements that wait for a second person, oldest first."""
    query = select(ResettleRequest).where(ResettleRequest.decision.is_(None)).order_by(ResettleRequest.id)
    return list(session.scalars(query))


def _address(visit: Visit) -> str:
    """Return the wager's address: its actions are below it."""
    return address_of(visit.request).partition("?")[0].rpartition("/")[0]


def _steps(session: Session, wager: Wager, key: BetKey) -> list[TimelineStep]:
    """Return the callbacks about a wager, each with what it posted, and what else was posted, in order of time."""
    posted = transactions_with(session, references=key.references(wager.settlements))
    causes = causes_of(session, [one["transaction"] for one in posted])
    steps = []
    for delivery in deliveries_of(session, bet=str(key)):
        own = [one for one in posted if causes.get(one["transaction"].id) == delivery.id]
        steps.append(TimelineStep(delivery.received_at, delivery, own))
    steps += [TimelineStep(_at(one), None, [one]) for one in posted if one["transaction"].id not in causes]
    return sorted(steps, key=lambda step: step.at)


def _at(one: dict[str, Any]) -> datetime:
    recorded_at: datetime = one["transaction"].recorded_at
    return recorded_at


def _requests(session: Session, key: BetKey) -> list[ResettleRequest]:
    own = (ResettleRequest.game == key.game, ResettleRequest.client == key.client, ResettleRequest.uid == key.uid)
    return list(session.scalars(select(ResettleRequest).where(*own).order_by(ResettleRequest.id)))


def _request(session: Session, visit: Visit, wager: Wager, facts: Mapping[str, str | None], outcome: str) -> None:
    """Store a request to replace the wager's present settlement. Raises RefusedError."""
    key = BetKey(wager.game, wager.client, wager.uid)
    if outcome == wager.outcome:
        raise RefusedError("unchanged", _UNCHANGED)
    if any(request.decision is None for request in _requests(session, key)):
        raise RefusedError("already_requested", "A resettlement of this wager waits for a decision already.")
    session.add(
        ResettleRequest(
            **key._asdict(),
            **facts,
            settlement=wager.settlements,
            requested_by=visit.member.username,
            requested_at=visit.request.now,
        )
    )
    visit.record(session, "resettlement_requested", str(key), **facts, result_before=wager.result)


def _open_request(session: Session, key: BetKey, id_: int) -> ResettleRequest:
    """Return a request of the wager, locked. Raises NotFoundError, RefusedError if it was decided already."""
    query = select(ResettleRequest).where(ResettleRequest.id == id_)
    found = session.scalar(locked(query, ResettleRequest))
    if found is None or (found.game, found.client, found.uid) != tuple(key):
        raise NotFoundError(f"no request {id_} for this wager")
    if found.decision is not None:
        raise RefusedError("decided", f"The request was {found.decision} by {found.decided_by} already.")
    return found


def _needs_approval(session: Session, client: str) -> bool:
    return policy_of(brand_facts(brand_by_client(session, client)).policy).resettle_approval
